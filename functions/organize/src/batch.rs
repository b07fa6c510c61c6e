//! `POST /api/files/batch`: one action on many files, one result a file.

use axum::Json;
use axum::extract::State;
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::edge::{FilePatch, JsonBody};
use jam_core::ids::FileId;
use jam_core::model::{List, Patch, Tags, Text};
use jam_core::ops::organize::{Action, Skipped, batch};
use jam_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::ToSchema;

/// Longest text that is looked at as an id: 64 characters.
pub const MAX_ID_BYTES: usize = 256;
/// More ids than any configuration allows.
const MAX_IDS: usize = 10_000;

/// What to do to which files. An action is refused without what it needs, so that a misspelt field changes nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchRequest {
    action: ActionName,
    /// Up to 500, each once.
    #[schema(value_type = Vec<String>)]
    ids: List<Text<MAX_ID_BYTES>, MAX_IDS>,
    /// For `tag` and `untag`, which need it.
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Tags>,
    /// For `move`, which needs it: the package, or null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    package_name: Patch<Text<{ FilePatch::MAX_NAME_BYTES }>>,
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
    let BatchRequest { action, ids: List(ids), tags, package_name } = request;
    let max = app.config.limits.max_batch;
    if ids.len() > max {
        let reason = format!("it has {} entries, allowed are at most {max}", ids.len());
        return Err(Error::invalid_parameter("ids", reason));
    }
    let action = action.with(tags, package_name)?;
    let known: Vec<FileId> = ids.iter().filter_map(|id| FileId::parse(id.as_str())).collect();
    let outcomes = batch(&app, &caller.user, &action, &known).await?.into_iter().collect();
    let results: Vec<BatchResult> = ids.iter().map(|id| result(id.as_str(), &outcomes)).collect();
    let count = results.iter().filter(|result| result.success).count();
    Ok(Json(BatchAnswer { success: true, results, count }))
}

impl ActionName {
    /// The action with what it needs.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] when that is missing.
    fn with(self, tags: Option<Tags>, package: Patch<Text<{ FilePatch::MAX_NAME_BYTES }>>) -> Result<Action> {
        let tags = || {
            tags.filter(|tags| !tags.as_slice().is_empty()).ok_or_else(|| {
                Error::invalid_parameter("tags", "this action needs a list of at least one text")
            })
        };
        Ok(match self {
            Self::Delete => Action::Delete,
            Self::Restore => Action::Restore,
            Self::Purge => Action::Purge,
            Self::Favorite => Action::SetFavorite(true),
            Self::Unfavorite => Action::SetFavorite(false),
            Self::Tag => Action::Tag(tags()?),
            Self::Untag => Action::Untag(tags()?),
            Self::Move => Action::Move(match package {
                Patch::Keep => {
                    let reason = "move needs it: the name of a package, or null for none";
                    return Err(Error::invalid_parameter("packageName", reason));
                }
                Patch::Clear => None,
                Patch::Set(name) => name.into_non_empty(),
            }),
        })
    }
}

fn result(id: &str, outcomes: &HashMap<FileId, Option<Skipped>>) -> BatchResult {
    let outcome = FileId::parse(id).and_then(|parsed| outcomes.get(&parsed));
    let (error, code) = match outcome {
        Some(None) => (None, None),
        Some(Some(Skipped::TooManyTags)) => {
            (Some("The file would have too many tags."), Some("too_many_tags"))
        }
        Some(Some(Skipped::NotFound)) | None => (Some("Not found."), Some("not_found")),
    };
    BatchResult { id: id.to_owned(), success: code.is_none(), error, code }
}
