//! redis, nginx and memcached under load, each in kernlet with a published port against the same program natively: one after
//! the other in each round, on one processor, while the client has the last one.

use crate::cpu;
use crate::error::BenchError;
use crate::goals;
use crate::kernlet::{Instances, Kernlet};
use crate::place::{Place, Running, output, tool};
use crate::report::{Report, median};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where the servers run.
const SERVERS: usize = 0;
const PATIENCE: Duration = Duration::from_secs(15);
/// Connections to memcached.
const CLIENTS: usize = 50;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How often each server is loaded
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

/// A program, and how it serves at `%p`.
pub struct Server {
    /// What it is called.
    pub name: &'static str,
    program: PathBuf,
    /// `%p` is the port.
    arguments: Vec<String>,
    /// Host folders that are sealed into the image, at the same path.
    folders: Vec<String>,
}

/// A server that answers.
pub struct Serving {
    /// Its processes, the monitor included.
    pub processes: Vec<i32>,
    port: u16,
    _native: Option<Running>,
}

impl Server {
    /// redis without a disk.
    pub fn redis(_: &Kernlet) -> Result<Self, BenchError> {
        let words = ["--port", "%p", "--save", "", "--protected-mode", "no", "--daemonize", "no"];
        let (program, arguments) = (tool("redis-server", "redis-server")?, words.map(Into::into).to_vec());
        Ok(Self { name: "redis", program, arguments, folders: vec![] })
    }

    /// memcached with one thread that serves.
    pub fn memcached() -> Result<Self, BenchError> {
        let words = ["-p", "%p", "-U", "0", "-t", "1", "-u", "nobody"];
        let (program, arguments) = (tool("memcached", "memcached")?, words.map(Into::into).to_vec());
        Ok(Self { name: "memcached", program, arguments, folders: vec![] })
    }

    /// nginx in one process, with a file of 1 KB.
    pub fn nginx(kernlet: &Kernlet) -> Result<Self, BenchError> {
        let folder = kernlet.place.create_dir("nginx-www")?;
        kernlet.place.write("nginx-www/file.html", &"0123456789abcde\n".repeat(64))?;
        let folder = folder.display().to_string();
        let program = tool("nginx", "nginx-light")?;
        let arguments = ["-c", "%c"].map(Into::into).to_vec();
        Ok(Self { name: "nginx", program, arguments, folders: vec![folder] })
    }

    /// Python's web server.
    pub fn python(_: &Kernlet, python: &str) -> Result<Self, BenchError> {
        let arguments = ["-m", "http.server", "%p"].map(Into::into).to_vec();
        Ok(Self { name: "python3", program: python.into(), arguments, folders: vec![] })
    }

    fn arguments(&self, place: &Place, port: u16, kind: &str) -> Result<Vec<String>, BenchError> {
        let mut config = String::new();
        if self.name == "nginx" {
            let folder = &self.folders[0];
            let text = format!(
                "daemon off; master_process off; pid /tmp/nginx-{port}.pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_body_temp_path /tmp/nginx-{port}-a; proxy_temp_path /tmp/nginx-{port}-b;
    fastcgi_temp_path /tmp/nginx-{port}-c; uwsgi_temp_path /tmp/nginx-{port}-d; scgi_temp_path /tmp/nginx-{port}-e;
    server {{ listen {port}; root {folder}; }}
}}
"
            );
            config = place.write(&format!("nginx-www/{kind}.conf"), &text)?.display().to_string();
        }
        let replace = |word: &String| word.replace("%p", &port.to_string()).replace("%c", &config);
        Ok(self.arguments.iter().map(replace).collect())
    }

    /// Its image, and the arguments with which it serves at a port inside.
    pub fn image(&self, kernlet: &Kernlet, port: u16) -> Result<(PathBuf, Vec<String>), BenchError> {
        let arguments = self.arguments(&kernlet.place, port, "instance")?;
        let folders = self.folders.iter().flat_map(|folder| ["--file".into(), format!("{folder}:{folder}")]);
        let options: Vec<String> = folders.collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Ok((kernlet.build_program(&self.program, &options)?, arguments))
    }

    /// Starts it in kernlet.
    pub fn start_instance(
        &self,
        kernlet: &Kernlet,
        instances: &mut Instances<'_>,
    ) -> Result<Serving, BenchError> {
        let port = crate::dns::free_port()?;
        let (image, arguments) = self.image(kernlet, port)?;
        let mut words = vec!["-p".into(), format!("{port}:{port}"), image.display().to_string()];
        words.extend(arguments);
        let before = instances.processes();
        instances.start(format!("bench-{}-{port}", self.name), &words)?;
        let processes = instances.processes().into_iter().filter(|pid| !before.contains(pid)).collect();
        Serving { processes, port, _native: None }.ready(self.name)
    }

    /// Starts it natively.
    pub fn start_native(&self, kernlet: &Kernlet) -> Result<Serving, BenchError> {
        let port = crate::dns::free_port()?;
        let mut command = kernlet.place.command(&self.program);
        command.args(self.arguments(&kernlet.place, port, "native")?);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let running = Running(command.spawn().map_err(BenchError::io(self.name))?);
        let processes = vec![running.pid()];
        Serving { processes, port, _native: Some(running) }.ready(self.name)
    }
}

impl Serving {
    fn ready(self, name: &str) -> Result<Self, BenchError> {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if start.elapsed() > PATIENCE {
                return Err(BenchError::Silent(name.into()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        cpu::pin_all(&self.processes, SERVERS)
            .map_err(BenchError::io(format!("binding {name} to a processor")))?;
        Ok(self)
    }
}

/// All three, each against itself.
pub fn measure(kernlet: Option<&Path>, options: &Options, report: &mut Report) -> Result<(), BenchError> {
    let kernlet = Kernlet::find(kernlet)?;
    let benchmark = tool("redis-benchmark", "redis-tools")?;
    let wrk = tool("wrk", "wrk")?;
    let redis = |test: &'static str| {
        let benchmark = benchmark.clone();
        move |port: u16| -> Result<f64, BenchError> {
            let mut command = Command::new(&benchmark);
            command.args(["-p", &port.to_string(), "-t", test, "-n", "40000", "--csv"]);
            let said = output("redis-benchmark", &mut command)?;
            let line = said.lines().rfind(|line| line.to_lowercase().contains(test));
            let rate = line.and_then(|line| line.split(',').nth(1)?.trim_matches('"').parse().ok());
            rate.ok_or_else(|| BenchError::failed("redis-benchmark", said))
        }
    };
    let web = |port: u16| -> Result<f64, BenchError> {
        let mut command = Command::new(&wrk);
        let said = output(
            "wrk",
            command.args(["-t1", "-c32", "-d1"]).arg(format!("http://127.0.0.1:{port}/file.html")),
        )?;
        let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        rate.filter(|_| !said.contains("Non-2xx")).ok_or_else(|| BenchError::failed("wrk", said))
    };
    type Load<'l> = &'l dyn Fn(u16) -> Result<f64, BenchError>;
    let (get, set) = (redis("get"), redis("set"));
    let cases: [(Server, &[(Load<'_>, goals::Goal)]); 3] = [
        (Server::redis(&kernlet)?, &[(&get, goals::LINUX_REDIS_GET), (&set, goals::LINUX_REDIS_SET)]),
        (Server::nginx(&kernlet)?, &[(&web, goals::LINUX_NGINX)]),
        (Server::memcached()?, &[(&cached, goals::LINUX_MEMCACHED)]),
    ];
    for (server, loads) in cases {
        let mut instances = kernlet.instances()?;
        let ours = server.start_instance(&kernlet, &mut instances)?;
        let native = server.start_native(&kernlet)?;
        cpu::pin(0, cpu::count() - 1).map_err(BenchError::io("binding the client to a processor"))?;
        for (load, goal) in loads {
            let mut rates = [vec![], vec![]];
            for round in 0..options.rounds.max(1) {
                for (serving, rates) in [&ours, &native].iter().zip(&mut rates) {
                    rates.push(load(serving.port)?);
                }
                eprintln!(
                    "round {round}: {} {:.0}, natively {:.0}",
                    goal.what, rates[0][round], rates[1][round]
                );
            }
            let [ours, native] = rates.map(median);
            report.ratio(*goal, ours, native, |rate| format!("{:.1} k", rate / 1e3));
        }
    }
    Ok(())
}

/// Values that memcached gives in a second, each connection with one request at a time.
fn cached(port: u16) -> Result<f64, BenchError> {
    let failed = || BenchError::io("memcached");
    let open = |_| -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let mut streams = (0..CLIENTS).map(open).collect::<std::io::Result<Vec<_>>>().map_err(failed())?;
    let mut answer = [0; 256];
    streams[0].write_all(b"set key 0 0 100\r\n").map_err(failed())?;
    streams[0].write_all(&[b'v'; 100]).and_then(|()| streams[0].write_all(b"\r\n")).map_err(failed())?;
    let length = streams[0].read(&mut answer).map_err(failed())?;
    if &answer[..length] != b"STORED\r\n" {
        return Err(BenchError::failed("memcached", String::from_utf8_lossy(&answer[..length])));
    }
    let expected = b"VALUE key 0 100\r\n".len() + 100 + b"\r\nEND\r\n".len();
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(1) {
        for stream in &mut streams {
            stream.write_all(b"get key\r\n").map_err(failed())?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut answer[..expected]).map_err(failed())?;
            if !answer[..expected].starts_with(b"VALUE key") {
                return Err(BenchError::failed("memcached", "a wrong answer"));
            }
            count += 1;
        }
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
