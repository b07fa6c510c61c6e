//! Where the service listens: one socket for everything, with `TEST_FORM=split` one for each function, as when every
//! function is a process of its own, with `TEST_FORM=twice` two that take turns, as when each function has two instances,
//! with `TEST_FORM=lambda` none: requests then come through `cargo lambda watch` (`local-dev/test-lambda` runs it). Which
//! function a request goes to is what the contract's tags say.

use super::App;
use super::contract::Operation;
use jam_core::config::{LambdaAnswers, LambdaConfig, Limits, ListenAddress};
use jam_core::edge::{self, Listener};
use reqwest::Method;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

/// One entrance.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Door {
    Socket(SocketAddr),
    /// A function's URL of the emulator.
    Lambda(String),
}

/// The open entrances.
pub(super) struct Doors {
    /// A function's instances.
    by_function: BTreeMap<&'static str, Vec<Door>>,
    /// Where requests go that no route is for.
    default: Vec<Door>,
    /// Requests so far.
    turn: AtomicUsize,
    servers: JoinSet<()>,
    stop: CancellationToken,
}

impl Doors {
    /// Opens them; every instance of a function is given an application of its own.
    pub(super) async fn open(app: &App, another: impl Fn() -> App) -> Self {
        let stop = CancellationToken::new();
        let mut servers = JoinSet::new();
        let mut by_function = BTreeMap::new();
        let instances = match form().as_str() {
            "split" => 1,
            "twice" => 2,
            _ => 0,
        };
        for _ in 0..instances {
            for (name, routes) in functions() {
                let address = serve(another(), routes, &stop, &mut servers).await;
                by_function.entry(name).or_insert_with(Vec::new).push(Door::Socket(address));
            }
        }
        let default = match form().as_str() {
            "split" | "twice" => by_function["list"].clone(),
            "lambda" => vec![serve_lambda(app.clone(), &stop, &mut servers)],
            _ => vec![Door::Socket(serve(app.clone(), jam_all::routes(), &stop, &mut servers).await)],
        };
        Self { by_function, default, turn: AtomicUsize::new(0), servers, stop }
    }

    /// The socket that a request goes to.
    pub(super) fn address(&self, method: &Method, target: &str) -> SocketAddr {
        match self.find(method, target) {
            Door::Socket(address) => *address,
            Door::Lambda(_) => panic!("a test of sockets does not run as a Lambda function"),
        }
    }

    /// The URL of a target.
    pub(super) fn url(&self, method: &Method, target: &str) -> String {
        match self.find(method, target) {
            Door::Socket(address) => format!("http://{address}{target}"),
            Door::Lambda(url) => format!("{url}{target}"),
        }
    }

    fn find(&self, method: &Method, target: &str) -> &Door {
        let operation = Operation::answering(method, target);
        let function = operation.and_then(|operation| self.by_function.get(operation.function));
        let instances = function.unwrap_or(&self.default);
        &instances[self.turn.fetch_add(1, Ordering::Relaxed) % instances.len()]
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
fn form() -> String {
    std::env::var("TEST_FORM").unwrap_or_default()
}

/// Answers what the emulator has for the function that this process is to it.
#[expect(clippy::disallowed_methods, reason = "the emulator's address is where the runtime finds it")]
fn serve_lambda(app: App, stop: &CancellationToken, servers: &mut JoinSet<()>) -> Door {
    let interface = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("`cargo dev test-lambda` sets it");
    let (emulator, function) = interface.split_once("/.rt/").expect("an address of cargo lambda watch");
    let url = format!("{emulator}/lambda-url/{function}");
    let config = LambdaConfig { answers: LambdaAnswers::Stream, is_emulated: true };
    let (router, stop) = (edge::router(app, jam_all::routes()), stop.clone());
    servers.spawn(async move {
        tokio::select! {
            ended = edge::serve_lambda(router, config) => ended.unwrap(),
            () = stop.cancelled() => {}
        }
    });
    Door::Lambda(url)
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
