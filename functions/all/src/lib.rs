//! Every function in one process: the one-process server, and the contract as a whole.
//! Never adds a route of its own.

mod contract;

pub use contract::openapi;

use jam_core::app::App;
use utoipa_axum::router::OpenApiRouter;

/// The routes of all functions.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(jam_upload::routes())
        .merge(jam_list::routes())
        .merge(jam_download::routes())
        .merge(jam_thumbnail::routes())
        .merge(jam_quota::routes())
        .merge(jam_organize::routes())
        .merge(jam_webhook::routes())
        .merge(jam_worker::routes())
}
