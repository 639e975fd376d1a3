//! `rescue-page`.

use super::failure::Failure;
use super::work::{self, World};
use super::{args, request};
use crate::config::Settings;
use crate::config::request::{Common, Format};
use crate::jobs::rescue_page::{self, PageRequest};
use crate::process::Cancel;

/// Which drive is meant.
///
/// # Errors
/// When it is not configured.
pub fn request(typed: &args::RescuePage, settings: Settings, common: Common) -> Result<PageRequest, Failure> {
    Ok(PageRequest { common, drive: request::one(&typed.drive, &[], settings)? })
}

/// Prints the page.
pub fn print(request: &PageRequest, cancel: Cancel) -> Result<u8, Failure> {
    let world = World::new(&request.common, cancel.clone());
    let result = rescue_page::rescue_page(request, &world.environment());
    drop(world);
    let (page, summary) = result.map_err(|error| work::failure_of(error, &cancel))?;
    super::print(&match request.common.format {
        Format::Human => page,
        Format::Json => format!("{}\n", serde_json::json!({ "v": 1, "page": page })),
    });
    work::worst(vec![Ok(summary)], &cancel)
}
