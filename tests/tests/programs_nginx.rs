//! Debian's nginx, unmodified, in one process, with curl and wrk.

use kernlet_tests::programs::{DOORS, LONG, Server, certificate, folder_with, seal};
use kernlet_tests::{User, finish_within, need};
use std::process::Command;

const CONFIGURATION: &str = "
daemon off;
master_process off;
error_log stderr notice;
pid /run/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 30;
    keepalive_requests 1000000;
    client_max_body_size 16m;
    types { text/html html; text/plain txt; application/octet-stream bin; }
    gzip on;
    gzip_types text/plain;
    server {
        listen 80;
        listen [::]:80;
        listen 443 ssl;
        ssl_certificate /site/cert.pem;
        ssl_certificate_key /site/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        root /site;
        location = /told { default_type text/plain; return 200 \"$request_method $scheme $arg_name\\n\"; }
        location /through/ { proxy_pass http://127.0.0.1/; }
    }
}
";

#[test]
fn nginx_serves_files_and_tls_to_its_clients() {
    for (tool, package) in [("nginx", "nginx-light"), ("curl", "curl"), ("wrk", "wrk")] {
        need(tool, package);
    }
    let image = seal("nginx", &[], "nginx");
    let [cert, _] = certificate();
    for door in DOORS {
        let user = User::ordinary();
        let big: String = (0..300_000).map(|n| format!("{n}\n")).collect();
        let files = [
            ("index.html", &b"<p>hello</p>\n"[..]),
            ("big.txt", big.as_bytes()),
            ("big.bin", big.as_bytes()),
            ("nginx.conf", CONFIGURATION.as_bytes()),
        ];
        let site = folder_with(&user, "site", &files);
        let volume = format!("{}:/site:ro", site.display());
        let server =
            Server::start(user, door, &[80, 443], &["-v", &volume], &image, &["-c", "/site/nginx.conf"]);
        let base = format!("http://127.0.0.1:{}", server.ports[0]);
        let at = |path: &str| format!("{base}/{path}");
        let fine = |arguments: &[&str]| server.client("curl", &[&["-sS", "--fail"], arguments].concat());
        server.until("the server answers", || {
            let mut command = Command::new("curl");
            finish_within(command.args(["-sS", "--fail", &base]), LONG).status == 0
        });

        assert_eq!(fine(&[&base]), "<p>hello</p>\n");
        assert_eq!(fine(&[&at("told?name=value")]), "GET http value\n");
        assert!(fine(&[&at("big.bin")]) == big, "sendfile gives the whole file");
        assert!(fine(&["--compressed", &at("big.txt")]) == big, "gzip gives the whole file");
        let headers = fine(&["-H", "Accept-Encoding: gzip", "-o", "/dev/null", "-D", "-", &at("big.txt")]);
        assert!(headers.contains("Content-Encoding: gzip"), "{headers}");
        assert_eq!(fine(&["-r", "100-119", &at("big.bin")]), big[100..120]);
        assert!(fine(&[&at("through/big.bin")]) == big, "a connection to itself by its own loopback");
        let status = |url: &str| {
            let code = ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}", url];
            server.client("curl", &code)
        };
        assert_eq!(status(&at("missing")), "404 1");
        // Several requests on one connection.
        let urls: Vec<String> = (0..20).map(|n| at(&format!("told?name={n}"))).collect();
        let mut all = vec!["-v"];
        all.extend(urls.iter().map(String::as_str));
        let mut command = Command::new("curl");
        let kept = finish_within(command.args(["-sS", "--fail"]).args(&all), LONG);
        assert_eq!(kept.err.matches("Connected to").count(), 1, "{kept:?}");
        assert_eq!(kept.out.lines().count(), 20, "{kept:?}");

        let secure = format!("https://localhost:{}/", server.ports[1]);
        let to = format!("localhost:{}:127.0.0.1", server.ports[1]);
        let cert = cert.to_str().expect("UTF-8");
        let tls = |more: &[&str], path: &str| {
            let url = format!("{secure}{path}");
            fine(&[&["--cacert", cert, "--resolve", &to], more, &[&url]].concat())
        };
        assert_eq!(tls(&["--tlsv1.3"], "told?name=3"), "GET https 3\n");
        assert_eq!(tls(&["--tls-max", "1.2"], "told?name=2"), "GET https 2\n");
        assert!(tls(&[], "big.bin") == big, "TLS gives the whole file");

        let seconds = if door == "process" { "2" } else { "3" };
        let load = |path: &str| {
            let out = server.client("wrk", &["-t1", "-c16", "-d", seconds, "--timeout", "30", &at(path)]);
            assert!(!out.contains("Socket errors") && !out.contains("Non-2xx"), "{out}\n{}", server.log());
            let answered = out.lines().find_map(|line| line.trim().split_once(" requests in "));
            let answered: u64 = answered.and_then(|(n, _)| n.parse().ok()).unwrap_or(0);
            assert!(answered > 10, "{out}");
        };
        load("");
        load("told");
        let (_user, status) = server.stop();
        assert_eq!(status, "0", "{door}");
    }
}
