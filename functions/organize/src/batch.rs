//! `POST /api/files/batch`: one action on many files, one result a file.

use axum::Json;
use axum::extract::State;
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::edge::JsonBody;
use jam_core::ids::FileId;
use jam_core::model::Tags;
use jam_core::ops::organize::{Action, Skipped, batch};
use jam_core::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest name of a package.
const MAX_NAME_BYTES: usize = 255;

/// What to do to which files.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchRequest {
    action: ActionName,
    /// Up to 500, each once.
    ids: Vec<String>,
    /// For `tag` and `untag`.
    tags: Option<Vec<String>>,
    /// For `move`: the package, or null for none.
    package_name: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ActionName {
    Delete,
    Restore,
    Purge,
    Favorite,
    Unfavorite,
    Tag,
    Untag,
    Move,
}

/// What became of each file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    success: bool,
    /// In the order of the request.
    results: Vec<BatchResult>,
    /// How many were done.
    count: usize,
}

/// What became of one file.
#[derive(Debug, Serialize, ToSchema)]
struct BatchResult {
    id: String,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// Does one action to many files, in one transaction. Files that are not there are named in the results.
#[utoipa::path(post, path = "/api/files/batch", tag = "organize", request_body = BatchRequest,
    responses((status = 200, body = BatchAnswer)))]
pub(crate) async fn run_batch(
    State(app): State<App>,
    caller: Caller,
    JsonBody(request): JsonBody<BatchRequest>,
) -> Result<Json<BatchAnswer>> {
    let max = app.config.limits.max_batch;
    if request.ids.len() > max {
        return Err(Error::invalid_parameter("ids", format!("expected at most {max}")));
    }
    let action = action(&request)?;
    let ids: Vec<FileId> = request.ids.iter().filter_map(|id| FileId::parse(id)).collect();
    let outcomes = batch(&app, &caller.user, &action, &ids).await?;
    let results: Vec<BatchResult> = request.ids.iter().map(|id| result(id, &outcomes)).collect();
    let count = results.iter().filter(|result| result.success).count();
    Ok(Json(BatchAnswer { success: true, results, count }))
}

fn action(request: &BatchRequest) -> Result<Action> {
    let tags = || {
        let labels = request.tags.clone().unwrap_or_default();
        let tags = Tags::parse(labels).map_err(|reason| Error::invalid_parameter("tags", reason))?;
        if tags.as_slice().is_empty() {
            Err(Error::invalid_parameter("tags", "expected at least one"))
        } else {
            Ok(tags)
        }
    };
    let package = request.package_name.clone().filter(|name| !name.is_empty());
    if package.as_ref().is_some_and(|name| name.len() > MAX_NAME_BYTES) {
        return Err(Error::invalid_parameter("packageName", "expected at most 255 bytes"));
    }
    Ok(match request.action {
        ActionName::Delete => Action::Delete,
        ActionName::Restore => Action::Restore,
        ActionName::Purge => Action::Purge,
        ActionName::Favorite => Action::SetFavorite(true),
        ActionName::Unfavorite => Action::SetFavorite(false),
        ActionName::Tag => Action::Tag(tags()?),
        ActionName::Untag => Action::Untag(tags()?),
        ActionName::Move => Action::Move(package),
    })
}

fn result(id: &str, outcomes: &[(FileId, Option<Skipped>)]) -> BatchResult {
    let outcome = FileId::parse(id).and_then(|parsed| outcomes.iter().find(|(done, _)| *done == parsed));
    let (error, code) = match outcome {
        Some((_, None)) => (None, None),
        Some((_, Some(Skipped::TooManyTags))) => {
            (Some("The file would have too many tags."), Some("too_many_tags"))
        }
        Some((_, Some(Skipped::NotFound))) | None => (Some("There is nothing here."), Some("not_found")),
    };
    BatchResult { id: id.to_owned(), success: code.is_none(), error, code }
}
