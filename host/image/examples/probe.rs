fn main() {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let t = std::time::Instant::now();
        let out = kernlet_image::rewrite::rewrite([(path.clone(), &bytes)]);
        let t = t.elapsed();
        match out {
            None => println!("{path}: nothing ({t:?})"),
            Some(out) => {
                let r = kernlet_wire::rewrite::Rewrites::parse(&out).unwrap();
                for f in r.files() {
                    for s in f.segments() {
                        println!(
                            "{path}: {} rewritten {} trapping, {} pages in {} runs, stubs {} at {:#x} ({t:?})",
                            s.rewritten,
                            s.trapping,
                            s.runs().map(|r| r.pages).sum::<u32>(),
                            s.runs().count(),
                            s.stubs.pages,
                            s.stubs.distance
                        );
                    }
                }
            }
        }
    }
}
