//! Where the service listens: one socket for everything, or with `TEST_FORM=split` one for each function, as when every
//! function is a process of its own. Which one a request goes to is what the contract's tags say.

use super::App;
use super::contract::Operation;
use jam_core::config::{Limits, ListenAddress};
use jam_core::edge::{self, Listener};
use reqwest::Method;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

/// The open sockets.
pub(super) struct Doors {
    by_function: BTreeMap<&'static str, SocketAddr>,
    /// Where requests go that no route is for.
    default: SocketAddr,
    servers: JoinSet<()>,
    stop: CancellationToken,
}

impl Doors {
    /// Opens them; every function of the split form is given an application of its own.
    pub(super) async fn open(app: &App, another: impl Fn() -> App) -> Self {
        let stop = CancellationToken::new();
        let mut servers = JoinSet::new();
        let mut by_function = BTreeMap::new();
        let default = if is_split() {
            for (name, routes) in functions() {
                let address = serve(another(), routes, &stop, &mut servers).await;
                by_function.insert(name, address);
            }
            by_function["list"]
        } else {
            serve(app.clone(), jam_all::routes(), &stop, &mut servers).await
        };
        Self { by_function, default, servers, stop }
    }

    /// Where a request goes.
    pub(super) fn address(&self, method: &Method, target: &str) -> SocketAddr {
        let operation = Operation::answering(method, target);
        let function = operation.and_then(|operation| self.by_function.get(operation.function));
        function.copied().unwrap_or(self.default)
    }

    /// Lets open requests finish.
    pub(super) async fn close(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.servers.join_next().await {
            ended.unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the form of the service is chosen from outside")]
pub(crate) fn is_split() -> bool {
    std::env::var("TEST_FORM").is_ok_and(|form| form == "split")
}

fn functions() -> [(&'static str, OpenApiRouter<App>); 7] {
    [
        ("upload", jam_upload::routes()),
        ("list", jam_list::routes()),
        ("download", jam_download::routes()),
        ("thumbnail", jam_thumbnail::routes()),
        ("quota", jam_quota::routes()),
        ("webhook", jam_webhook::routes()),
        ("organize", jam_organize::routes()),
    ]
}

async fn serve(
    app: App,
    routes: OpenApiRouter<App>,
    stop: &CancellationToken,
    servers: &mut JoinSet<()>,
) -> SocketAddr {
    let any_port = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
    let listener = Listener::bind(&any_port).await.unwrap();
    let Listener::Tcp(socket) = &listener else { unreachable!("a TCP address gives a TCP socket") };
    let address = socket.local_addr().unwrap();
    let limits: Limits = app.config.limits.clone();
    let (router, stop) = (edge::router(app, routes), stop.clone());
    servers.spawn(async move {
        edge::serve_connections(listener, router, &limits, stop, TaskTracker::new()).await;
    });
    address
}
