"""Modules of Python's library that lean on the system: each prints what does not depend on the machine."""
import asyncio
import concurrent.futures
import ctypes
import decimal
import mmap
import os
import queue
import select
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib


def threads():
    lock, total, results = threading.Lock(), [0], queue.Queue()

    def work(n):
        for _ in range(2000):
            with lock:
                total[0] += 1
        results.put(n * n)

    all_threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join()
    print("threads", total[0], sorted(results.get() for _ in range(8)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("pool", sum(pool.map(lambda n: zlib.crc32(bytes([n]) * 10000), range(50))))
    event = threading.Event()
    print("timed wait", event.wait(0.01), threading.Timer(0.01, event.set).start(), event.wait(10))


async def tasks():
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def client(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        got = []
        for turn in range(5):
            writer.write(f"client {n} turn {turn}\n".encode())
            got.append((await reader.readline()).decode().strip())
            await asyncio.sleep(0.001)
        writer.close()
        return got[-1]

    print("asyncio", await asyncio.gather(*(client(n) for n in range(5))))
    server.close()
    loop = asyncio.get_running_loop()
    print("in a thread", await loop.run_in_executor(None, lambda: sum(range(1000))))
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except asyncio.TimeoutError:
        print("timed out")


def databases():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.db")
        database = sqlite3.connect(path)
        database.execute("pragma journal_mode = wal")
        database.execute("create table t (n integer primary key, word text)")
        with database:
            database.executemany("insert into t values (?, ?)", ((n, f"word {n}") for n in range(1000)))
        other = sqlite3.connect(path)
        print("sqlite", other.execute("select count(*), max(word), total(n) from t").fetchone())
        print("integrity", other.execute("pragma integrity_check").fetchone())
        other.close()
        database.close()
        print("left", sorted(os.listdir(folder)))


def foreign():
    libc = ctypes.CDLL(None)
    numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    libc.qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
    print("ctypes", list(numbers), libc.strlen(b"four"), libc.getpid() == os.getpid())
    ctypes.set_errno(0)
    print("errno", ctypes.CDLL(None, use_errno=True).close(999), ctypes.get_errno())


def files():
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(range(256)) * 64)
        file.flush()
        with mmap.mmap(file.fileno(), 0) as view:
            print("mmap", len(view), view.find(b"\xff\x00"), view[:5])
        file.seek(0)
        print("file", file.read(6), os.fstat(file.fileno()).st_size)
    reading, writing = os.pipe()
    os.write(writing, b"x" * 10)
    print("select", select.select([reading], [writing], [], 0)[0] == [reading], os.read(reading, 99))
    print("environment", os.environ.get("HOME") is not None, os.sep, sys.byteorder, struct.calcsize("P"))


def signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda number, frame: got.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.2)
    print("signals", got)


def sockets():
    one, other = socket.socketpair()
    socket.send_fds(one, [b"fd"], [os.open("/etc/passwd", os.O_RDONLY)])
    message, descriptors, _, _ = socket.recv_fds(other, 10, 4)
    print("passed", message, os.read(descriptors[0], 5))
    datagrams = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for datagram in datagrams:
        datagram.bind(("127.0.0.1", 0))
        datagram.settimeout(5)
    datagrams[0].sendto(b"datagram", datagrams[1].getsockname())
    print("udp", datagrams[1].recvfrom(99)[0])
    print("names", socket.gethostbyname("localhost"), socket.getaddrinfo("127.0.0.1", 80)[0][4])


def secure(folder):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    client = ssl.create_default_context(cafile=f"{folder}/cert.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with server.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(wrapped.recv(99)[::-1])

    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(listener.getsockname()) as plain:
        with client.wrap_socket(plain, server_hostname="localhost") as wrapped:
            wrapped.sendall(b"abcdef")
            print("ssl", wrapped.recv(99), wrapped.version(), dict(wrapped.getpeercert()["subject"][0]))
    thread.join()


decimal.getcontext().prec = 60
print("decimal", decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7)
threads()
asyncio.run(tasks())
databases()
foreign()
files()
signals()
sockets()
secure(sys.argv[1])
try:
    raise SystemExit(7)
finally:
    print("the end", time.time() > 1e9, flush=True)
