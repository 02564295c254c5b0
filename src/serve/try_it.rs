//! A trained network to try: its page, and classification over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::assets;
use super::examples::Examples;
use super::failure::Failure;
use super::network::Network;
use super::server::Server;
use crate::inference::{Explainer, Prediction, prepare_for};
use crate::train::Checkpoint;
use crate::{Result, images};

/// The classes of an answer, unless a request says how many.
const TOP: usize = 5;
/// The probability from which on an image is given a label, unless a request says another.
const THRESHOLD: f64 = 0.5;
/// The longest time that an upload may take, and that a request waits for memory.
const UPLOAD: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of a request.
    pub upload: usize,
    /// The most images of a request.
    pub images: usize,
    /// Images that are decoded at the same time.
    pub workers: usize,
}

/// A trained classifier, served.
#[derive(Debug)]
pub struct TryIt {
    /// The name of the run.
    name: String,
    /// How images are prepared, and for which classes.
    checkpoint: Checkpoint,
    network: Network,
    pub(super) examples: Examples,
    can_explain: bool,
    needs_token: bool,
    limits: Limits,
    /// The memory of uploads, that of prepared images until they are answered, and the images that are decoded.
    uploads: Memory,
    prepared: Memory,
    decoding: Semaphore,
}

/// Bytes that requests may have in memory together. Further requests wait.
#[derive(Debug)]
struct Memory(Semaphore);

impl Memory {
    const ALL: usize = 256 << 20;
    /// What a permit stands for.
    const KIB: usize = 1 << 10;

    fn new() -> Self {
        Self(Semaphore::new(Self::ALL / Self::KIB))
    }

    /// So many bytes; a request that needs more than there are has all of them for itself.
    async fn take(&self, bytes: usize) -> Answer<SemaphorePermit<'_>> {
        let permits = bytes.min(Self::ALL).div_ceil(Self::KIB) as u32;
        let taken = tokio::time::timeout(PATIENCE, self.0.acquire_many(permits)).await;
        taken.map_err(|_| Failure::busy())?.map_err(|_| Failure::gone())
    }
}

impl TryIt {
    /// A network that is served under this name. `checkpoint` is the first one of the network's.
    ///
    /// # Errors
    /// When the checkpoint's recipe is invalid.
    pub fn new(
        name: String,
        checkpoint: Checkpoint,
        (network, examples): (Network, Examples),
        limits: Limits,
    ) -> Result<Self> {
        Ok(Self {
            can_explain: Explainer::can_explain(&checkpoint)?,
            uploads: Memory::new(),
            prepared: Memory::new(),
            decoding: Semaphore::new(limits.workers),
            name,
            checkpoint,
            network,
            examples,
            limits,
            needs_token: false,
        })
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn serve(mut self, server: Server) -> Result<()> {
        let limits = self.limits;
        self.needs_token = server.needs_token();
        let router: Router<Arc<Self>> = assets::router(&assets::TRY_IT)
            .route("/about", get(about))
            .route("/health", get(health))
            .route("/predict", post(predict))
            .route("/explain", post(explain))
            .route("/examples/{class}/{number}", get(Examples::image))
            .layer(DefaultBodyLimit::max(limits.upload));
        server.run(router.with_state(Arc::new(self)), limits.workers)
    }

    fn is_multi_label(&self) -> bool {
        self.checkpoint.recipe.data.is_multi_label()
    }

    /// Decodes and prepares the image files of a request, beside the thread that answers.
    async fn prepare(self: &Arc<Self>, files: Vec<File>) -> Answer<(Vec<String>, Vec<Vec<f32>>)> {
        let mut all = (Vec::new(), Vec::new());
        for File { name, bytes } in files {
            let _turn = self.decoding.acquire().await.map_err(|_| Failure::gone())?;
            let served = self.clone();
            let of_file = name.clone();
            let prepare = move || Ok(prepare_for(&images::decode(bytes, &of_file)?, &served.checkpoint));
            let broken = |_| {
                Failure::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The image could not be prepared, by a fault of the server.",
                )
            };
            let values = tokio::task::spawn_blocking(prepare).await.map_err(broken)?;
            all.0.push(name);
            all.1.push(values.map_err(|error: crate::Error| Failure::of_image(&error))?);
        }
        Ok(all)
    }
}

type Answer<T> = std::result::Result<T, Failure>;
type Served = State<Arc<TryIt>>;

/// An image file of a request.
struct File {
    name: String,
    bytes: Vec<u8>,
}

/// The image files of a request: its body, or the parts of a form.
async fn files(request: Request, most: usize) -> Answer<Vec<File>> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        let bytes = axum::body::Bytes::from_request(request, &()).await?;
        return Ok(vec![File { name: "the file".into(), bytes: bytes.into() }]);
    }
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|refused| Failure::new(StatusCode::BAD_REQUEST, refused.body_text()))?;
    let mut files = Vec::new();
    while let Some(part) = form.next_field().await? {
        if files.len() == most {
            let why = format!("A request has at most {most} images.");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let name = part.file_name().or(part.name()).unwrap_or("an image").to_owned();
        files.push(File { name, bytes: part.bytes().await?.into() });
    }
    Ok(files)
}

/// What the words after `?` of `/predict` say.
#[derive(Debug, serde::Deserialize)]
struct Asked {
    top: Option<usize>,
    threshold: Option<f64>,
}

/// The answer for an image.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
enum Shown {
    Class {
        image: String,
        #[serde(flatten)]
        answer: Prediction,
        likeliest: Vec<Prediction>,
    },
    Labels {
        image: String,
        labels: Vec<Prediction>,
        likeliest: Vec<Prediction>,
    },
}

#[derive(Debug, serde::Serialize)]
struct Predictions {
    predictions: Vec<Shown>,
}

/// The prepared images of a request, with their names, and their memory until they are answered.
struct Received<'a> {
    names: Vec<String>,
    images: Vec<Vec<f32>>,
    _memory: SemaphorePermit<'a>,
}

/// Reads the image files of a request within the time, and prepares them.
async fn received(served: &Arc<TryIt>, request: Request) -> Answer<Received<'_>> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length: Option<usize> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    // Without its length, a body counts as the largest.
    let _upload = served.uploads.take(length.unwrap_or(usize::MAX).min(served.limits.upload)).await?;
    let files = tokio::time::timeout(UPLOAD, files(request, served.limits.images));
    let files = files.await.map_err(|_| Failure::slow())??;
    if files.is_empty() {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "The form has no image."));
    }
    let bytes = files.len() * size_of::<f32>() * served.checkpoint.input.iter().product::<usize>();
    let _memory = served.prepared.take(bytes).await?;
    let (names, images) = served.prepare(files).await?;
    Ok(Received { names, images, _memory })
}

async fn health(State(served): Served) -> Answer<&'static str> {
    if served.network.is_alive() { Ok("ok") } else { Err(Failure::gone()) }
}

async fn predict(
    State(served): Served,
    asked: std::result::Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Answer<Json<Predictions>> {
    let Query(Asked { top, threshold }) = asked?;
    let Received { names, images, _memory } = received(&served, request).await?;
    let (top, threshold) = (top.unwrap_or(TOP), threshold.unwrap_or(THRESHOLD));
    let classes = &served.checkpoint.classes;
    let answers = served.network.classify(images).await?;
    let shown = names.into_iter().zip(answers).map(|(image, answer)| {
        let likeliest = answer.likeliest(top, classes);
        match served.is_multi_label() {
            true => Shown::Labels { image, labels: answer.labels(threshold, classes), likeliest },
            false => Shown::Class { image, answer, likeliest },
        }
    });
    Ok(Json(Predictions { predictions: shown.collect() }))
}

/// What the words after `?` of `/explain` say.
#[derive(Debug, serde::Deserialize)]
struct Explained {
    class: Option<String>,
}

async fn explain(
    State(served): Served,
    asked: std::result::Result<Query<Explained>, QueryRejection>,
    request: Request,
) -> Answer<Response> {
    let Query(Explained { class }) = asked?;
    if !served.can_explain {
        let why = "This network has no convolution, so no places of an image can be shown.";
        return Err(Failure::new(StatusCode::BAD_REQUEST, why));
    }
    let index = |name: String| {
        let found = served.checkpoint.classes.iter().position(|class| *class == name);
        found.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, format!("The network has no class {name:?}.")))
    };
    let class = class.map(index).transpose()?;
    let Received { mut images, _memory, .. } = received(&served, request).await?;
    let image = images.swap_remove(0);
    let class = match class {
        Some(class) => class,
        // The answer of all networks together.
        None => served.network.classify(vec![image.clone()]).await?.first().map_or(0, |answer| answer.index),
    };
    let png = served.network.explain(image, class).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// What the page shows of the network.
#[derive(Debug, serde::Serialize)]
struct About<'a> {
    version: &'static str,
    run: &'a str,
    recipe: &'a str,
    model: &'a str,
    dataset: &'a str,
    device: &'a str,
    /// Channels, height and width of an image as the network takes it.
    input: [usize; 3],
    classes: &'a [String],
    multi_label: bool,
    can_explain: bool,
    needs_token: bool,
    max_upload_bytes: usize,
    max_images: usize,
    /// The number of example images of each class; none while they are loaded.
    examples: Option<Vec<usize>>,
    /// Why there are no examples.
    no_examples: Option<&'a str>,
}

async fn about(State(served): Served) -> Response {
    let recipe = &served.checkpoint.recipe;
    let (examples, no_examples) = match served.examples.counts() {
        None => (None, None),
        Some(Ok(counts)) => (Some(counts), None),
        Some(Err(reason)) => (Some(Vec::new()), Some(reason)),
    };
    let about = About {
        version: env!("CARGO_PKG_VERSION"),
        run: &served.name,
        recipe: &recipe.name,
        model: &recipe.model.name,
        dataset: &recipe.data.name,
        device: served.network.device(),
        input: served.checkpoint.input,
        classes: &served.checkpoint.classes,
        multi_label: served.is_multi_label(),
        can_explain: served.can_explain,
        needs_token: served.needs_token,
        max_upload_bytes: served.limits.upload,
        max_images: served.limits.images,
        examples,
        no_examples,
    };
    Json(about).into_response()
}
