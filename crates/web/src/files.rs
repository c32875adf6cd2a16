//! Files: on printers, in the library, in folders.

use crate::answer::{Asked, Body, Failed};
use crate::print_jobs::bad;
use crate::{Asking, api};
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use hub::fleet::files::{Cleaned, FileFilter, From, Send};
use hub::fleet::view::{File, FilePage, Folder};
use hub::view::{Failure, FailureCode, Role};
use hub::{Caller, Hub};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use utoipa::{IntoParams, ToSchema};

api! {
    get "/shop/files" => files,
    put "/shop/files/content" => upload,
    get "/shop/files/old" => old,
    post "/shop/files/clean" => clean,
    get "/shop/files/{id}" => file,
    patch "/shop/files/{id}" => change,
    delete "/shop/files/{id}" => remove,
    post "/shop/files/{id}/download" => download,
    post "/shop/files/{id}/cancel" => cancel,
    post "/shop/files/{id}/send" => send,
    get "/shop/files/{id}/content" => content,
    get "/shop/tags" => tags,
    get "/shop/folders" => folders,
    post "/shop/folders" => add_folder,
    delete "/shop/folders/{id}" => remove_folder,
}

/// Of the library, of a printer that the caller may use, or anything for those who manage.
fn may(hub: &Hub, caller: Caller, place: &str) -> Result<(), Failed> {
    if place == "library" {
        hub.library(caller)?;
        return Ok(());
    }
    Ok(hub.of_printer(caller, place, Role::Use)?)
}

async fn seen(hub: &Hub, caller: Caller, id: &str) -> Result<File, Failed> {
    let file = hub.fleet().file(id).await?;
    may(hub, caller, &file.place)?;
    Ok(shown(hub, caller, file))
}

/// Without what went wrong on the way from its printer, which says where that is.
fn shown(hub: &Hub, caller: Caller, mut file: File) -> File {
    if hub.shop(caller).is_err() {
        hub::fleet::view::hide_file(&mut file);
    }
    file
}

/// Files, in parts.
#[utoipa::path(get, path = "/shop/files",
    params(
        ("place" = Option<Vec<String>>, Query, description = "library, printers, folder:ID"),
        ("state" = Option<Vec<String>>, Query),
        ("kind" = Option<Vec<String>>, Query, description = "gcode, bgcode, 3mf, gcode.3mf, …"),
        ("tag" = Option<Vec<String>>, Query),
        ("search" = Option<String>, Query),
        ("order" = Option<String>, Query, description = "newest, name or size"),
        ("offset" = Option<u32>, Query),
        ("limit" = Option<u32>, Query, description = "1 to 500; 50 when nothing is said")),
    responses((status = 200, body = FilePage), (status = "4XX", body = Failure)))]
async fn files(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Json<FilePage>, Failed> {
    let mut filter = FileFilter::default();
    for (key, value) in query {
        let number = || value.parse::<u32>().map_err(|_| bad(&key, &value));
        match key.as_str() {
            "place" => filter.places.push(place(&hub, value)),
            "state" => filter.states.push(value),
            "kind" => filter.kinds.push(value),
            "tag" => filter.tags.push(value),
            "search" => filter.search = value,
            "order" => filter.order = Some(value),
            "offset" => filter.offset = number()?,
            "limit" => filter.limit = Some(number()?),
            _ => return Err(bad(&key, &value)),
        }
    }
    if hub.shop(caller).is_err() {
        let printers = hub.printers(caller).into_iter().map(|printer| printer.id.to_string());
        let places = printers.chain(["library".to_owned()]);
        let asked = |place: &String| filter.places.is_empty() || filter.places.contains(place);
        let seen = places.filter(|place| asked(place) && may(&hub, caller, place).is_ok());
        filter.places = seen.collect();
        if filter.places.is_empty() {
            return Ok(Json(FilePage { files: vec![], total: 0 }));
        }
    }
    let FilePage { files, total } = hub.fleet().files(&filter).await?;
    let files = files.into_iter().map(|file| shown(&hub, caller, file)).collect();
    Ok(Json(FilePage { files, total }))
}

/// A printer by its name, or the place as it is.
fn place(hub: &Hub, place: String) -> String {
    hub.fleet().printer_id(&place).map_or(place, |id| id.to_string())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Named {
    /// With its ending: what is printed by whom depends on it.
    name: String,
}

/// Puts a file into the library. The same content under the same name is the same file.
#[utoipa::path(put, path = "/shop/files/content", params(Named),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = File), (status = "4XX", body = Failure)))]
async fn upload(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(named): Asked<Named>,
    body: Stream,
) -> Result<(StatusCode, Json<File>), Failed> {
    let fleet = hub.library_for(caller, "file.add", &named.name).await?;
    let mut receiving = fleet.receive(&named.name).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let broken = |error: axum::Error| {
            let message = format!("the upload broke off: {error}");
            hub::Failure::new(FailureCode::BadRequest, message)
        };
        receiving.write(&piece.map_err(broken)?).await?;
    }
    let file = receiving.finish().await?;
    Ok((StatusCode::CREATED, Json(file)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Old {
    /// Not changed for that long.
    #[serde(default)]
    days: u32,
    #[serde(default)]
    bytes_min: i64,
}

/// What could be cleaned up: content that is here, the largest first.
#[utoipa::path(get, path = "/shop/files/old", params(Old),
    responses((status = 200, body = FilePage), (status = "4XX", body = Failure)))]
async fn old(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(old): Asked<Old>,
) -> Result<Json<FilePage>, Failed> {
    let fleet = hub.shop(caller)?;
    Ok(Json(fleet.old_files(old.days, old.bytes_min).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Clean {
    ids: Vec<String>,
}

/// Removes the content of files from here; what lies on printers stays there.
#[utoipa::path(post, path = "/shop/files/clean", request_body = Clean,
    responses((status = 200, body = Cleaned), (status = "4XX", body = Failure)))]
async fn clean(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(Clean { ids }): Body<Clean>,
) -> Result<Json<Cleaned>, Failed> {
    let fleet = hub.shop_for(caller, "file.clean", &format!("{} files", ids.len())).await?;
    Ok(Json(fleet.clean(&ids).await?))
}

/// One file, as it is now.
#[utoipa::path(get, path = "/shop/files/{id}", params(("id" = String, Path)),
    responses((status = 200, body = File), (status = "4XX", body = Failure)))]
async fn file(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<Json<File>, Failed> {
    Ok(Json(seen(&hub, caller, &id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FileChange {
    tags: Option<Vec<String>>,
    note: Option<String>,
}

/// Changes the tags or the note of a file; what is not named stays.
#[utoipa::path(patch, path = "/shop/files/{id}", params(("id" = String, Path)),
    request_body = FileChange,
    responses((status = 200, body = File), (status = "4XX", body = Failure)))]
async fn change(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Body(change): Body<FileChange>,
) -> Result<Json<File>, Failed> {
    let fleet = hub.shop(caller)?;
    Ok(Json(fleet.edit_file(&id, change.tags, change.note).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Where {
    /// Also from the printer that it lies on.
    #[serde(default)]
    from_printer: bool,
}

/// Removes a file: what was downloaded, and with `from_printer` the original too.
#[utoipa::path(delete, path = "/shop/files/{id}", params(("id" = String, Path), Where),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn remove(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Asked(where_): Asked<Where>,
) -> Result<StatusCode, Failed> {
    let file = seen(&hub, caller, &id).await?;
    let fleet = match where_.from_printer {
        true => hub.printer_for(caller, &file.place, Role::Control, "file.remove").await?.0,
        false => hub.shop_for(caller, "file.remove", &file.name).await?,
    };
    let from = if where_.from_printer { From::Printer } else { From::Here };
    fleet.remove_file(&id, from).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to download a file from its printer. It goes on where it broke off.
#[utoipa::path(post, path = "/shop/files/{id}/download", params(("id" = String, Path)),
    responses((status = 202, body = File), (status = "4XX", body = Failure)))]
async fn download(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<File>), Failed> {
    seen(&hub, caller, &id).await?;
    let file = hub.fleet().download(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&hub, caller, file))))
}

/// Ends the transfer of a file. What has come stays for the next time.
#[utoipa::path(post, path = "/shop/files/{id}/cancel", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn cancel(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    seen(&hub, caller, &id).await?;
    hub.fleet().cancel_transfer(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to bring a file to a printer, and prints it there if that is wanted.
#[utoipa::path(post, path = "/shop/files/{id}/send", params(("id" = String, Path)),
    request_body = Send, responses((status = 202), (status = "4XX", body = Failure)))]
async fn send(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Body(send): Body<Send>,
) -> Result<StatusCode, Failed> {
    let file = seen(&hub, caller, &id).await?;
    let action = if send.start { "printer.start" } else { "printer.send" };
    let (fleet, printer) = hub.printer_for(caller, &send.printer, Role::Use, action).await?;
    let send = Send { printer: printer.to_string(), ..send };
    fleet.send(&file.id, send, &caller.actor()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The content of a file that is here.
#[utoipa::path(get, path = "/shop/files/{id}/content", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = "4XX", body = Failure)))]
async fn content(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<Response, Failed> {
    seen(&hub, caller, &id).await?;
    let (path, name) = hub.fleet().content(&id).await?;
    let gone = |error: std::io::Error| {
        hub::Failure::new(FailureCode::NotFound, format!("its content is gone: {error}"))
    };
    let opened = tokio::fs::File::open(&path).await.map_err(gone)?;
    let bytes = opened.metadata().await.map_err(gone)?.len();
    let pieces = stream::unfold(opened, |mut opened| async move {
        let mut piece = vec![0; PIECE_BYTES];
        match opened.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(piece), opened))
            }
            Err(error) => Some((Err(error), opened)),
        }
    });
    // RFC 6266 §4.3, RFC 8187
    let plain: String = name.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    let plain = plain.replace(['"', '\\'], "_");
    let whole: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let shown = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, shown),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Stream::from_stream(pieces)).into_response())
}

#[derive(Debug, Serialize, ToSchema)]
struct Tag {
    tag: String,
    files: i64,
}

/// Every tag, and how many files have it.
#[utoipa::path(get, path = "/shop/tags",
    responses((status = 200, body = Vec<Tag>), (status = "4XX", body = Failure)))]
async fn tags(State(hub): State<Hub>, Asking(caller): Asking) -> Result<Json<Vec<Tag>>, Failed> {
    let tags = hub.library(caller)?.tags().await?;
    Ok(Json(tags.into_iter().map(|(tag, files)| Tag { tag, files }).collect()))
}

/// Folders of this computer that are part of the library.
#[utoipa::path(get, path = "/shop/folders",
    responses((status = 200, body = Vec<Folder>), (status = "4XX", body = Failure)))]
async fn folders(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<Vec<Folder>>, Failed> {
    Ok(Json(hub.shop(caller)?.folders().await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFolder {
    path: String,
    #[serde(default)]
    recursive: bool,
}

/// Takes a folder of this computer into the library.
#[utoipa::path(post, path = "/shop/folders", request_body = NewFolder,
    responses((status = 201, body = Folder), (status = "4XX", body = Failure)))]
async fn add_folder(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(new): Body<NewFolder>,
) -> Result<(StatusCode, Json<Folder>), Failed> {
    let fleet = hub.shop_for(caller, "folder.add", &new.path).await?;
    let folder = fleet.add_folder(&new.path, new.recursive).await?;
    Ok((StatusCode::CREATED, Json(folder)))
}

/// Takes a folder out of the library. What is in it stays as it is.
#[utoipa::path(delete, path = "/shop/folders/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn remove_folder(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    let fleet = hub.shop_for(caller, "folder.remove", &id).await?;
    fleet.remove_folder(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

const PIECE_BYTES: usize = 64 * 1024;
