//! Measurements against peers.
#![forbid(unsafe_code)]
mod cpu; mod dns;
use std::time::Duration;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let q = dns::zone::queries(dns::zone::Mix { missing: std::env::var("MISS").map_or(0, |m| m.parse().unwrap()), edns: std::env::var("EDNS").is_ok() });
    if a[1] == "zone" { print!("{}", dns::zone::master_file()); return; }
    let load = dns::loader::Load { sockets: a[2].parse().unwrap(), window: a[3].parse().unwrap(), duration: Duration::from_secs_f64(a[4].parse().unwrap()) };
    cpu::pin(0, 1).unwrap();
    let me = std::process::id() as i32;
    if a[1] == "control" {
        let c = dns::control::Control::start(&q, 0).unwrap();
        let b = c.cpu_time(); let t0 = cpu::thread_time(me, me);
        let o = dns::loader::run(c.address, &q, load).unwrap();
        println!("{o:?} rate {:.0} per core {:.0} loader cpu {:.2}", o.rate(), o.answers as f64 / (c.cpu_time() - b).as_secs_f64(), (cpu::thread_time(me, me) - t0).as_secs_f64());
    } else {
        let pid: i32 = a[5].parse().unwrap();
        let fam = cpu::family(pid);
        cpu::pin_all(&fam, 0).unwrap();
        let b = cpu::time(&fam); 
        let o = dns::loader::run(a[1].parse().unwrap(), &q, load).unwrap();
        println!("{o:?} rate {:.0} per core {:.0}", o.rate(), o.answers as f64 / (cpu::time(&fam) - b).as_secs_f64());
    }
}
