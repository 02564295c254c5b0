//! Training images of each class, for people who want to know what a network has seen.

use std::sync::{Arc, OnceLock};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use super::try_it::TryIt;
use crate::Result;
use crate::data::Dataset;
use crate::images::{from_values, thumbnail};

/// The most images of a class, and of all classes.
const OF_CLASS: usize = 6;
const OF_ALL: usize = 600;

/// The kind and the bytes of small image files, by class.
type ByClass = Vec<Vec<(&'static str, Vec<u8>)>>;

/// Training images of each class. They are loaded by a thread of their own, because a dataset may take long.
#[derive(Clone, Debug, Default)]
pub struct Examples(Arc<OnceLock<std::result::Result<ByClass, String>>>);

impl Examples {
    /// No images, for this reason.
    pub fn none(reason: &str) -> Self {
        let examples = Self::default();
        let _ = examples.0.set(Err(reason.into()));
        examples
    }

    /// The images of the dataset that `load` loads.
    pub fn load(classes: usize, load: impl FnOnce() -> Result<Dataset> + Send + 'static) -> Self {
        let examples = Self::default();
        let loaded = examples.clone();
        std::thread::spawn(move || {
            let found = load().and_then(|dataset| of_dataset(&dataset, classes));
            let _ = loaded.0.set(found.map_err(|error| error.to_string()));
        });
        examples
    }

    /// The number of images of each class. `None` while they are loaded.
    pub(super) fn counts(&self) -> Option<std::result::Result<Vec<usize>, &str>> {
        self.0.get().map(|found| match found {
            Ok(classes) => Ok(classes.iter().map(Vec::len).collect()),
            Err(reason) => Err(reason.as_str()),
        })
    }

    /// Answers with an image of a class.
    pub(super) async fn image(
        State(served): State<Arc<TryIt>>,
        path: std::result::Result<Path<(usize, usize)>, PathRejection>,
    ) -> std::result::Result<Response, Failure> {
        let nothing = || Failure::new(StatusCode::NOT_FOUND, "There is no such example.");
        let Path((class, number)) = path.map_err(|_| nothing())?;
        let found = served.examples.0.get().and_then(|found| found.as_ref().ok());
        let image = found.and_then(|classes| classes.get(class)?.get(number));
        let (kind, bytes) = image.ok_or_else(nothing)?.clone();
        Ok(([(header::CONTENT_TYPE, format!("image/{kind}"))], bytes).into_response())
    }
}

fn of_dataset(dataset: &Dataset, classes: usize) -> Result<ByClass> {
    let most = (OF_ALL / classes.max(1)).clamp(1, OF_CLASS);
    let mut found: ByClass = vec![Vec::new(); classes];
    for (number, &label) in dataset.train.labels.iter().enumerate() {
        // An image of several classes is an example of the first that still wants one.
        let of_image = dataset.sets.as_ref().map_or_else(|| vec![label], |sets| sets.get(label).to_vec());
        let wants = |class: &u32| found.get(*class as usize).is_some_and(|of_class| of_class.len() < most);
        let Some(class) = of_image.into_iter().find(wants) else { continue };
        let Some(values) = dataset.train.image(number) else { continue };
        found[class as usize].push(thumbnail(&from_values(&values, dataset.input))?);
    }
    Ok(found)
}
