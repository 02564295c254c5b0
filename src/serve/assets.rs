//! The files of pages, which are inside the program.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// A file: its address, its type, its text.
pub type Asset = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
pub const PAGE: &str = "text/html; charset=utf-8";
pub const JSON: &str = "application/json";

/// What all pages have.
const SHARED: [Asset; 4] = [
    ("/style.css", STYLE, include_str!("../../pages/style.css")),
    ("/controls.css", STYLE, include_str!("../../pages/controls.css")),
    ("/answers.js", SCRIPT, include_str!("../../pages/answers.js")),
    ("/charts.js", SCRIPT, include_str!("../../pages/charts.js")),
];

/// The page of a trained network.
pub const TRY_IT: [Asset; 4] = [
    ("/", PAGE, include_str!("../../pages/serve.html")),
    ("/camera.js", SCRIPT, include_str!("../../pages/camera.js")),
    ("/serve.js", SCRIPT, include_str!("../../pages/serve.js")),
    ("/openapi.json", JSON, include_str!("openapi.json")),
];

/// The page of a training.
pub const LIVE: [Asset; 2] =
    [("/", PAGE, include_str!("../../pages/live.html")), ("/live.js", SCRIPT, include_str!("../../pages/live.js"))];

/// A router that answers with these files and those of all pages.
pub fn router<S: Clone + Send + Sync + 'static>(own: &[Asset]) -> Router<S> {
    let mut router = Router::new();
    for &(address, kind, text) in own.iter().chain(&SHARED) {
        router =
            router.route(address, get(move || async move { ([(header::CONTENT_TYPE, kind)], text).into_response() }));
    }
    router
}
