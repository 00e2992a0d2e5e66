"""Threads, signals and timers of Python. Says the same on Linux."""
import threading, queue, time, signal, os, sys, concurrent.futures as cf, asyncio
lock = threading.Lock(); total = 0
def add(n):
    global total
    for _ in range(1000):
        with lock: total += n
ts = [threading.Thread(target=add, args=(i,)) for i in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]
print("total", total)
with cf.ThreadPoolExecutor(8) as ex: print(sum(ex.map(lambda x: x * x, range(100))))
q = queue.Queue()
threading.Thread(target=lambda: [q.put(i) for i in range(5)]).start()
print([q.get() for _ in range(5)])
got = []
signal.signal(signal.SIGALRM, lambda n, f: got.append(n))
signal.setitimer(signal.ITIMER_REAL, 0.01)
t = time.monotonic(); time.sleep(0.05); print("slept", time.monotonic() - t >= 0.05, got)
signal.signal(signal.SIGUSR1, lambda n, f: got.append(n)); os.kill(os.getpid(), signal.SIGUSR1); print(got)
e = threading.Event(); print("event", e.wait(0.01))
tm = threading.Timer(0.01, e.set); tm.start(); print("event", e.wait(5))
async def main():
    await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(100)))
    r = await asyncio.get_running_loop().run_in_executor(None, lambda: 42)
    print("async", r)
asyncio.run(main())
def spin():
    x = 0
    while not e2.is_set(): x += 1
e2 = threading.Event(); th = threading.Thread(target=spin); th.start(); time.sleep(0.05); e2.set(); th.join(); print("spun")
print(signal.sigwait.__name__, signal.pthread_sigmask(signal.SIG_BLOCK, []) == set())
