//! nginx, the peer of the web server.

use crate::error::BenchError;
use crate::place::{Place, Running, tool};
use std::process::Stdio;

/// Starts nginx with one worker on a loopback port for the files in `root`, without an access log.
///
/// It is configured for speed as its manual advises for static files (sendfile, tcp_nopush), and does not close a
/// connection after a number of requests. It runs as the ordinary user, as kernlet does.
pub fn start(place: &Place, root: &str, port: u16, cached: bool) -> Result<Running, BenchError> {
    let program = tool("nginx", "nginx-light")?;
    let folder = place.create_dir(&format!("nginx-{port}"))?;
    let folder = folder.display();
    let cache = if cached { "open_file_cache max=1000;" } else { "" };
    let config = format!(
        "daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    {cache}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"
    );
    let config = place.write(&format!("nginx-{port}.conf"), &config)?;
    let mut command = place.command(program);
    command.arg("-e").arg(format!("{folder}/error.log")).arg("-c").arg(config);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn().map_err(BenchError::io("nginx"))?))
}
