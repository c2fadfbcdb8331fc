//! nginx with `proxy_cache`, which answers the same requests out of its own cache.
//!
//! Its key holds the request's body and credentials, as the gateway's does, and both write a log. It keeps
//! answers in a file system in memory where there is one, and sends them from there without a copy of its own.

use super::process::{self, Folder, Pins, Process};
use anyhow::{Context, Result};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Where Debian and others put it.
const PLACES: [&str; 3] = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
/// A file system in memory.
const MEMORY: &str = "/dev/shm";

/// Where nginx keeps its answers, gone after the run.
pub struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether nginx keeps its files open between two hits.
#[derive(Clone, Copy)]
pub enum Files {
    /// As it does where nothing is said about it.
    Reopened,
    Open,
}

/// Where nginx is installed.
pub fn find() -> Option<&'static str> {
    PLACES.into_iter().find(|place| Path::new(place).exists())
}

/// In front of the provider at `upstream`.
pub fn start(
    program: &str,
    pins: &Pins,
    folder: &Folder,
    upstream: SocketAddr,
    files: Files,
) -> Result<(Process, Kept)> {
    let address = process::free_address()?;
    let name = format!("nginx-{}", address.port());
    let own = folder.0.join(&name);
    fs::create_dir_all(&own)?;
    let roomy = [Path::new(MEMORY), &own];
    let room = roomy.into_iter().find(|path| path.is_dir());
    let room = room.context("no folder")?;
    let kept = Kept(room.join(format!("tollgate-bench-{}-{name}", std::process::id())));
    let path = own.join("nginx.conf");
    fs::write(&path, config(&own, &kept.0, [address, upstream], files))?;
    let mut command = pins.server(Path::new(program));
    command.arg("-p").arg(&own).args(["-e", "stderr", "-c"]);
    command.arg(&path).stdout(Stdio::null());
    let process = Process::start(command, folder, address)?;
    process.wait_until_it_listens()?;
    Ok((process, kept))
}

/// One process, so that what it uses is counted whole and it ends with the benchmark.
fn config(own: &Path, kept: &Path, [listen, upstream]: [SocketAddr; 2], files: Files) -> String {
    let (own, kept) = (own.display(), kept.display());
    let files = match files {
        Files::Reopened => "",
        Files::Open => "open_file_cache max=1000;",
    };
    format!(
        "daemon off; master_process off; worker_processes 1; pid {own}/pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log {own}/access.log combined buffer=64k flush=1s; {files}\n\
         sendfile on; tcp_nopush on; tcp_nodelay on;\n\
         keepalive_timeout 600; keepalive_requests 1000000000;\n\
         client_body_temp_path {own}/body; proxy_temp_path {own}/proxy;\n\
         fastcgi_temp_path {own}/fastcgi; uwsgi_temp_path {own}/uwsgi; scgi_temp_path {own}/scgi;\n\
         proxy_cache_path {kept} keys_zone=kept:10m max_size=1g inactive=1h use_temp_path=off;\n\
         server {{\n\
         listen {listen}; client_body_buffer_size 64k; client_body_in_single_buffer on;\n\
         location / {{\n\
         proxy_pass http://{upstream}; proxy_http_version 1.1;\n\
         proxy_cache kept; proxy_cache_methods POST; proxy_cache_valid 200 1h;\n\
         proxy_cache_key \"$request_uri|$http_authorization|$request_body\";\n\
         add_header cf-aig-cache-status $upstream_cache_status;\n\
         }}\n}}\n}}\n"
    )
}
