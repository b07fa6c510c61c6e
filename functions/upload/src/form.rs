//! A multipart form being received: its files are staged as they come, its fields gathered, and only when all of it is
//! here do the files become the user's. The order of parts does not matter.

use axum::extract::Request;
use bytes::Bytes;
use futures_util::future::join_all;
use jam_core::app::App;
use jam_core::config::Limits;
use jam_core::edge::{FilePatch, Multipart, PartHead, shown};
use jam_core::ids::UserId;
use jam_core::media;
use jam_core::model::{ByteSize, File, FileMetadata, FileName, FileType};
use jam_core::ops::upload::{self, HEAD_BYTES, Incoming, Memory, Owner, Received, Receiving};
use jam_core::{Error, Result};
use std::collections::BTreeMap;

/// When the first file cannot be stored and more than this is still to come, the form is refused at once.
const WORTH_READING_BYTES: u64 = 16 * 1024 * 1024;

/// A body as large as this is worth a look at the account before it is read: clients like curl ask before they send it
/// (`Expect: 100-continue`), and reading is what tells them to go on.
const WORTH_ASKING_BYTES: u64 = 1024 * 1024;

/// Whose files a form brings.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// The caller's own.
    Own(UserId),
    /// Those of the user in the field `targetUserId`, sent by this administrator.
    Named {
        /// Who sends them.
        admin: UserId,
    },
}

/// What became of a form's files.
pub(crate) struct Form {
    /// Those that are stored.
    pub(crate) files: Vec<File>,
    /// Those that are not, and why.
    pub(crate) refused: Vec<(FileName, Error)>,
}

/// What a form says about one of its files.
type Description = (Option<FileType>, FileMetadata);

/// The values of each field in their order, by its name.
type Values<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// What has been read of a form so far.
#[derive(Default)]
struct Parts {
    fields: Vec<(String, String)>,
    field_bytes: usize,
    /// Each with its position among the form's files.
    received: Vec<(usize, Received)>,
    /// Paths that clients put in the place of names, when they upload a folder, by position.
    paths: BTreeMap<usize, String>,
    refused: Vec<(FileName, Error)>,
    file_count: usize,
}

/// Receives a form and stores its files.
pub(crate) async fn receive(app: &App, request: Request, target: Target) -> Result<Form> {
    let limits = &app.config.limits;
    let (head, body) = request.into_parts();
    let sender = match &target {
        Target::Own(user) | Target::Named { admin: user } => user,
    };
    let _open = app.rates.form(sender)?;
    let mut multipart = Multipart::new(&head.headers, body, limits.max_files_per_upload + limits.max_fields)?;
    if let Target::Own(user) = &target
        && multipart.rest_bytes().is_some_and(|rest_bytes| rest_bytes > WORTH_ASKING_BYTES)
    {
        upload::require_any_room(app, user).await?;
    }
    let mut parts = Parts::default();
    let described = match parts.read(app, &target, &mut multipart).await {
        Ok(()) => parts.describe(target),
        Err(error) => Err(error),
    };
    match described {
        Ok((user, descriptions)) => parts.store(app, &user, descriptions).await,
        Err(error) => {
            parts.cancel().await;
            Err(error)
        }
    }
}

impl Parts {
    async fn read(&mut self, app: &App, target: &Target, multipart: &mut Multipart) -> Result<()> {
        let limits = &app.config.limits;
        while let Some(part) = multipart.next_part().await? {
            match part.file_name.as_deref() {
                // A browser sends an empty part for a file input that nobody filled in.
                Some("") => {}
                Some(_) if part.name != "files" => {
                    return Err(Error::invalid_body("files must come in parts named files"));
                }
                Some(name) => {
                    self.paths.extend(FileName::relative_path(name).map(|path| (self.file_count, path)));
                    self.receive_file(app, target, multipart, Some(FileName::sanitize(name))).await?;
                }
                // Some clients name only the content's type.
                None if part.name == "files" && part.has_content_type => {
                    self.receive_file(app, target, multipart, None).await?;
                }
                None => self.receive_field(&part, multipart, limits).await?,
            }
        }
        Ok(())
    }

    async fn receive_field(
        &mut self,
        part: &PartHead,
        multipart: &mut Multipart,
        limits: &Limits,
    ) -> Result<()> {
        if self.fields.len() == limits.max_fields {
            return Err(Error::invalid_body("it has too many fields"));
        }
        let text = multipart.text(&part.name, limits.max_field).await?;
        self.field_bytes += part.name.len() + text.len();
        if self.field_bytes as u64 > limits.max_form_text.bytes() {
            let most = limits.max_form_text.formatted();
            return Err(Error::invalid_body(format!("its text fields come to more than {most} together")));
        }
        if text.contains('\0') {
            return Err(Error::invalid_body("a field holds a NUL character"));
        }
        self.fields.push((part.name.clone(), text));
        Ok(())
    }

    /// Stages one file; one without a name gets one by its content. A file that cannot be stored is noted; what makes the
    /// whole form fail is an error.
    async fn receive_file(
        &mut self,
        app: &App,
        target: &Target,
        multipart: &mut Multipart,
        name: Option<FileName>,
    ) -> Result<()> {
        let max_files = app.config.limits.max_files_per_upload;
        if self.file_count == max_files {
            return Err(Error::TooManyFiles { max_files });
        }
        let position = self.file_count;
        self.file_count += 1;
        let declared = self.file_type(position)?;
        let owner = match target {
            Target::Own(user) => Owner::Known(user.clone()),
            Target::Named { admin } => match self.target_user()? {
                Some(user) => Owner::Known(user),
                None => Owner::Unknown { receiver: admin.clone() },
            },
        };
        let bound = multipart.content_bound_bytes().map(ByteSize::new);
        let mut start = Start::read(multipart, Memory::take(app, bound)).await?;
        let name = name.unwrap_or_else(|| start.name());
        let incoming = Incoming { name: name.clone(), declared, head: &start.head, bound };
        let received = match start.whole {
            Some(memory) => {
                let bytes = std::mem::take(&mut start.chunks).concat();
                Received::whole(app, owner.sender(), incoming, bytes, memory).await
            }
            None => stage(app, &owner, incoming, start.chunks, multipart).await,
        };
        match received {
            Ok(received) => self.received.push((position, received)),
            Err(
                error @ (Error::TypeRefused { .. }
                | Error::TypeMismatch { .. }
                | Error::QuotaExceeded { .. }
                | Error::TooManyStoredFiles { .. }
                | Error::FileTooLarge { .. }),
            ) => {
                let rest_bytes = multipart.rest_bytes().unwrap_or(u64::MAX);
                if self.received.is_empty() && rest_bytes > WORTH_READING_BYTES {
                    return Err(error);
                }
                self.refused.push((name, error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whose the staged files are and what is said about each of them, now that every field is known.
    fn describe(&self, target: Target) -> Result<(UserId, Vec<Description>)> {
        let user = match target {
            Target::Own(user) => user,
            Target::Named { .. } => self.target_user()?.ok_or_else(|| {
                Error::invalid_parameter("targetUserId", "it is missing, expected a user id")
            })?,
        };
        if self.received.is_empty() {
            return Ok((user, Vec::new()));
        }
        let (shared, own) = self.values();
        let mut common = FileMetadata::default();
        FilePatch::from_fields(shared)?.apply_metadata(&mut common)?;
        let positions = self.received.iter().map(|(position, _)| *position);
        let descriptions = positions.map(|position| {
            let values =
                own.iter().filter_map(|(name, values)| Some((*name, values.get(position).copied()?)));
            let mut metadata = common.clone();
            FilePatch::from_fields(values)?.apply_metadata(&mut metadata)?;
            if metadata.details.relative_path.is_none() {
                metadata.details.relative_path = self.paths.get(&position).cloned();
            }
            Ok((self.file_type(position)?, metadata))
        });
        Ok((user, descriptions.collect::<Result<_>>()?))
    }

    /// What every file has, which is read once however many they are, and what each has for itself.
    fn values(&self) -> (BTreeMap<&str, &str>, Values<'_>) {
        let (mut shared, mut own) = (BTreeMap::new(), Values::new());
        for (name, text) in &self.fields {
            own.entry(name.as_str()).or_default().push(text.as_str());
        }
        own.retain(|name, values| match values.as_slice() {
            [.., last] if values.len() == 1 || *name == "tags" => {
                shared.insert(*name, *last);
                false
            }
            _ => true,
        });
        (shared, own)
    }

    /// Makes the staged files the user's.
    async fn store(mut self, app: &App, user: &UserId, descriptions: Vec<Description>) -> Result<Form> {
        // At once, so that they share their statements; they are still given what room there is in their order.
        let assigning =
            self.received.into_iter().zip(descriptions).map(async |((_, received), (declared, metadata))| {
                (received.name().clone(), received.assign(app, user, declared).await, metadata)
            });
        let mut assigned = Vec::new();
        for (name, file, metadata) in join_all(assigning).await {
            match file {
                Ok(file) => assigned.push((file, metadata)),
                Err(
                    error @ (Error::TypeMismatch { .. }
                    | Error::QuotaExceeded { .. }
                    | Error::TooManyStoredFiles { .. }),
                ) => self.refused.push((name, error)),
                Err(error) => return Err(error),
            }
        }
        let files =
            if assigned.is_empty() { Vec::new() } else { upload::complete(app, user, assigned).await? };
        Ok(Form { files, refused: self.refused })
    }

    /// Gives back what the staged files hold, before the client receives the refusal.
    async fn cancel(self) {
        for (_, received) in self.received {
            received.cancel().await;
        }
    }

    /// A field's value for the file at `position`: given once it is every file's, given more often it goes by position.
    fn value(&self, name: &str, position: usize) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(known, _)| known == name).map(|(_, text)| text.as_str());
        if values.clone().count() == 1 { values.next() } else { values.nth(position) }
    }

    fn file_type(&self, position: usize) -> Result<Option<FileType>> {
        let text = self.value("fileType", position).filter(|text| !text.is_empty());
        text.map(|text| {
            FileType::parse(text).ok_or_else(|| {
                let expected = "expected video, image, scene, project or audio";
                Error::invalid_parameter("fileType", format!("\"{}\" was sent, {expected}", shown(text)))
            })
        })
        .transpose()
    }

    fn target_user(&self) -> Result<Option<UserId>> {
        let text = self.value("targetUserId", 0).map(str::trim);
        text.map(|text| {
            UserId::parse(text).ok_or_else(|| {
                let reason = format!("\"{}\" was sent, expected a user id", shown(text));
                Error::invalid_parameter("targetUserId", reason)
            })
        })
        .transpose()
    }
}

/// The first bytes of a part, as they came and as what decides its type.
struct Start {
    chunks: Vec<Bytes>,
    head: Vec<u8>,
    /// What the part holds of the memory, if it is here whole.
    whole: Option<Memory>,
}

impl Start {
    /// Reads the whole part if it fits into `memory`, else at least what decides its type.
    async fn read(multipart: &mut Multipart, mut memory: Option<Memory>) -> Result<Self> {
        let mut start = Self { chunks: Vec::new(), head: Vec::new(), whole: None };
        let mut bytes = 0;
        while memory.is_some() || start.head.len() < HEAD_BYTES {
            let Some(chunk) = multipart.chunk().await? else {
                start.whole = memory.map(|memory| memory.shrunk_to(bytes));
                break;
            };
            let missing = HEAD_BYTES - start.head.len();
            start.head.extend_from_slice(&chunk[..chunk.len().min(missing)]);
            bytes += chunk.len();
            start.chunks.push(chunk);
            memory = memory.filter(|memory| memory.fits(bytes));
        }
        Ok(start)
    }

    /// A name for a file that came without one.
    fn name(&self) -> FileName {
        FileName::sanitize(&format!("untitled.{}", media::sniff(&self.head, "").extension))
    }
}

/// Receives the content of the current part, of which the first chunks are here.
async fn stage(
    app: &App,
    owner: &Owner,
    incoming: Incoming<'_>,
    first: Vec<Bytes>,
    multipart: &mut Multipart,
) -> Result<Received> {
    let mut receiving = Receiving::start(app, owner, incoming).await?;
    match append_all(&mut receiving, first, multipart).await {
        Ok(()) => receiving.finish().await,
        Err(error) => {
            // The next file of the form may need what this one held.
            receiving.cancel().await;
            Err(error)
        }
    }
}

async fn append_all(receiving: &mut Receiving, first: Vec<Bytes>, multipart: &mut Multipart) -> Result<()> {
    for chunk in first {
        receiving.append(chunk).await?;
    }
    while let Some(chunk) = multipart.chunk().await? {
        receiving.append(chunk).await?;
    }
    Ok(())
}
