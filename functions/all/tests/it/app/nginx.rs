//! A real nginx in front of the functions' sockets, with the configuration that a server gets (infra/hetzner/nginx).
#![expect(clippy::disallowed_methods, reason = "starts nginx with a configuration of its own")]

use super::process::{Entrance, Process, Site, client_over, session_token};
use super::{As, Service, eventually, functions};
use reqwest::{Method, RequestBuilder};
use std::path::{Path, PathBuf};
use tokio::process::{Child, Command};

/// The port without TLS of the nginx of a test.
pub(crate) struct Port80(reqwest::Client);

impl Service for Port80 {
    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        self.0.request(method, format!("http://files.example.com{target}"))
    }
}

/// One test asks as often as a hundred people, from one address.
const MANY: &str = "rate=100000r/s";

/// nginx and what is behind it.
pub(crate) struct Nginx {
    child: Child,
    http: reqwest::Client,
    home: PathBuf,
    pub(crate) functions: Vec<(&'static str, Process)>,
}

impl Nginx {
    /// Starts the functions with `JAM_ACCEL=nginx`, and nginx in front of them.
    pub(crate) async fn start(site: &Site) -> Self {
        let mut processes = Vec::new();
        for function in functions() {
            let process = site.start(&format!("jam-{function}"), &[("JAM_ACCEL", "nginx")]).await;
            processes.push((function, process));
        }
        Self::run(site, |function| site.path(&format!("jam-{function}.sock")), processes, MANY).await
    }

    /// The same with a limit of requests that a test reaches.
    pub(crate) async fn strict(site: &Site) -> Self {
        let process = site.start("jam-all", &[("JAM_ACCEL", "nginx")]).await;
        Self::run(site, |_| site.path("jam-all.sock"), vec![("all", process)], "rate=50r/s").await
    }

    /// nginx goes on when what is behind it has ended.
    pub(crate) async fn without_functions(mut self) -> Self {
        for (_, process) in std::mem::take(&mut self.functions) {
            process.stop().await;
        }
        self
    }

    /// Everything that nginx has written about requests and about itself.
    pub(crate) fn logs(&self) -> String {
        let files = std::fs::read_dir(&self.home).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// nginx in front of instances that have every function and come and go behind one socket.
    pub(crate) async fn in_front_of(site: &Site, entrance: &Entrance) -> Self {
        Self::run(site, |_| entrance.path.clone(), Vec::new(), MANY).await
    }

    async fn run(
        site: &Site,
        socket_of: impl Fn(&str) -> PathBuf,
        processes: Vec<(&'static str, Process)>,
        rate: &str,
    ) -> Self {
        let (home, socket) = (site.path("nginx"), site.path("nginx.sock"));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("nginx.conf"), configuration(site, &home, &socket, rate, socket_of))
            .unwrap();
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(&home)
            .arg("-c")
            .arg(home.join("nginx.conf"))
            .arg("-e")
            .arg(home.join("error.log"));
        let child = command.kill_on_drop(true).spawn().expect("nginx is installed by local-dev/install");
        let http = client_over(&socket);
        let nginx = Self { child, http, home, functions: processes };
        eventually("nginx answers", async || {
            nginx.http.get("http://localhost/health").send().await.ok()?.status().is_success().then_some(())
        })
        .await;
        nginx
    }

    pub(crate) fn user(&self, name: &str) -> As<'_> {
        As::new(self, Some(session_token(name)))
    }

    pub(crate) fn nobody(&self) -> As<'_> {
        As::new(self, None)
    }

    /// What answers where there is no TLS.
    pub(crate) fn port_80(&self) -> Port80 {
        let builder = reqwest::Client::builder().unix_socket(self.home.join("80.sock"));
        Port80(builder.redirect(reqwest::redirect::Policy::none()).build().unwrap())
    }

    /// One of the functions, without nginx.
    pub(crate) fn function(&self, name: &str) -> &Process {
        &self.functions.iter().find(|(function, _)| *function == name).unwrap().1
    }

    /// Ends nginx and the functions.
    pub(crate) async fn stop(mut self) {
        self.child.kill().await.unwrap();
        for (_, process) in self.functions {
            process.stop().await;
        }
    }
}

impl Service for Nginx {
    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        self.http.request(method, format!("http://localhost{target}"))
    }
}

/// What a server's nginx has, on sockets and paths of the test.
fn configuration(
    site: &Site,
    home: &Path,
    socket: &Path,
    rate: &str,
    socket_of: impl Fn(&str) -> PathBuf,
) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/hetzner/nginx");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let mut routes = read("routes.conf");
    for function in functions() {
        let ours = socket_of(function);
        routes = routes.replace(&format!("/run/jam-storage/{function}.sock"), ours.to_str().unwrap());
    }
    assert!(!routes.contains("/run/jam-storage/"), "a function is not started: {routes}");
    let service = read("service.conf.in").replace("@STORAGE_ROOT@", site.root().to_str().unwrap());
    let site_file = read("site.conf.in");
    let first = site_file.split("\nserver {").nth(1).expect("the server without TLS comes first");
    let (home, socket) = (home.display(), socket.display());
    let without_tls = first
        .replace("listen 80;", &format!("listen unix:{home}/80.sock;"))
        .replace("listen [::]:80;", "")
        .replace("@DOMAIN@", "files.example.com")
        .replace("/var/log/nginx/", &format!("{home}/"));
    let service = service.replace("/var/log/nginx/", &format!("{home}/"));
    let service = if rate == MANY { service } else { service.replace("burst=200", "burst=30") };
    let (limits, log) = (read("limits.conf").replace("rate=50r/s", rate), read("log.conf"));
    assert!(limits.contains(rate), "{limits}");
    // One process: it ends when the test does, and may read what the test may.
    format!(
        "daemon off;\nmaster_process off;\npid {home}/nginx.pid;\nevents {{}}\nhttp {{\n\
         client_body_temp_path {home}/body;\nproxy_temp_path {home}/proxy;\n\
         fastcgi_temp_path {home}/fastcgi;\nuwsgi_temp_path {home}/uwsgi;\nscgi_temp_path {home}/scgi;\n\
         {routes}\n{limits}\n{log}\nserver {{{without_tls}\nserver {{\nlisten unix:{socket};\nserver_tokens off;\n{service}\n}}\n}}\n"
    )
}
