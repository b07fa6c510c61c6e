//! The webhook function: what the identity provider tells about its users.
//! Believes nothing without its signature; never touches a file, a worker removes what has to go.

use axum::Json;
use axum::extract::State;
use jam_core::app::App;
use jam_core::edge::SignedDelivery;
use jam_core::ids::UserId;
use jam_core::ops::user;
use jam_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This function's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(clerk_webhook))
}

/// What happened to whom. Events about anything but users have other fields, and are not for us.
#[derive(Debug, Deserialize, ToSchema)]
struct Event {
    /// `user.created`, `user.deleted` or another.
    r#type: String,
    #[serde(default)]
    #[schema(value_type = Subject)]
    data: Value,
}

/// Whom an event is about.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the events that are for us; others have anything here")]
struct Subject {
    id: Option<String>,
}

/// The event has been acted on, now or before, or is none of ours.
#[derive(Debug, Serialize, ToSchema)]
struct Acknowledged {
    success: bool,
}

/// Takes an event of Clerk: `user.created` sets storage up, `user.deleted` removes everything, for good.
#[utoipa::path(post, path = "/api/webhooks/clerk", tag = "webhook", security(()), request_body = Event,
    params(
        ("svix-id" = String, Header, description = "The delivery's id"),
        ("svix-timestamp" = i64, Header, description = "Seconds since 1970"),
        ("svix-signature" = String, Header, description = "`v1,` and an HMAC in base64, one or several")),
    responses(
        (status = 200, body = Acknowledged),
        (status = 400, description = "Not an event"),
        (status = 403, description = "The signature does not hold"),
        (status = 404, description = "No webhook is configured")))]
async fn clerk_webhook(State(app): State<App>, delivery: SignedDelivery) -> Result<Json<Acknowledged>> {
    let event: Event = serde_json::from_slice(&delivery.body)
        .map_err(|_| Error::invalid_body("it is no event: a JSON object with the text type is expected"))?;
    match event.r#type.as_str() {
        "user.created" => user::created(&app, &delivery.id, &subject(&event)?).await?,
        "user.deleted" => user::deleted(&app, &delivery.id, &subject(&event)?).await?,
        _ => {}
    }
    Ok(Json(Acknowledged { success: true }))
}

fn subject(event: &Event) -> Result<UserId> {
    let id = event.data["id"].as_str().ok_or_else(|| Error::invalid_body("data.id is missing or no text"))?;
    UserId::parse(id).ok_or_else(|| Error::invalid_body("data.id is not a user's id"))
}
