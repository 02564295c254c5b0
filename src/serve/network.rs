//! The network of a server, on a thread of its own. Images that come at the same time are computed together.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use crate::blocking::block_on;
use crate::inference::{Explainer, Prediction, Predictor, heat_image};
use crate::train::Checkpoint;
use crate::{Engine, Error, Result};

/// The most images that are computed together.
pub const MOST_TOGETHER: usize = 16;
/// The most requests that wait for the network.
const WAITING: usize = 512;

/// A function that opens the device, also again after it failed.
pub type Open = Box<dyn FnMut() -> Result<Engine> + Send>;

type Answered<T> = std::result::Result<T, Failure>;
type Reply<T> = oneshot::Sender<Answered<T>>;
/// Images of a request, and who waits for their answers.
type Asked = (Vec<Vec<f32>>, Reply<Vec<Prediction>>);

enum Job {
    Classify(Asked),
    /// Answers with an image under the map of a class, as a PNG.
    Explain {
        image: Vec<f32>,
        class: usize,
        answer: Reply<Vec<u8>>,
    },
}

/// Sends images to the network.
#[derive(Clone, Debug)]
pub struct Network {
    jobs: mpsc::Sender<Job>,
    device: Arc<str>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Classify { .. } => "Classify",
            Self::Explain { .. } => "Explain",
        })
    }
}

impl Network {
    /// Loads the networks, whose probabilities are averaged, and starts the thread.
    ///
    /// # Errors
    /// When a checkpoint is not a classifier, the checkpoints do not fit each other, or the device cannot be opened.
    pub fn start(checkpoints: Vec<Checkpoint>, mut open: Open) -> Result<Self> {
        let engine = open()?;
        let device = engine.device_name().into();
        let predictor = loaded(engine, &checkpoints)?;
        let (jobs, waiting) = mpsc::channel(WAITING);
        let worker = Worker { checkpoints, open, predictor: Some(predictor), explainer: None };
        let started = std::thread::Builder::new().name("network".into()).spawn(move || worker.work(waiting));
        started.map_err(|error| Error::Device(format!("the system gives no thread: {error}")))?;
        Ok(Self { jobs, device })
    }

    /// The name of the device.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether it still answers.
    pub(super) fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Classifies prepared images.
    pub(super) async fn classify(&self, images: Vec<Vec<f32>>) -> Answered<Vec<Prediction>> {
        self.ask(|answer| Job::Classify((images, answer))).await
    }

    /// Draws which places of a prepared image speak for a class, by the first network.
    pub(super) async fn explain(&self, image: Vec<f32>, class: usize) -> Answered<Vec<u8>> {
        self.ask(|answer| Job::Explain { image, class, answer }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Answered<T> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(job(answer)).map_err(|refused| match refused {
            TrySendError::Full(_) => Failure::busy(),
            TrySendError::Closed(_) => Failure::gone(),
        })?;
        answered.await.unwrap_or_else(|_| Err(Failure::gone()))
    }
}

fn loaded(engine: Engine, checkpoints: &[Checkpoint]) -> Result<Predictor> {
    Predictor::for_batches(engine, checkpoints, &[1, MOST_TOGETHER])
}

struct Worker {
    checkpoints: Vec<Checkpoint>,
    open: Open,
    /// None after the device failed.
    predictor: Option<Predictor>,
    /// Opened when it is needed. It explains the first network.
    explainer: Option<Explainer>,
}

impl Worker {
    /// Does the jobs in their order. Images of jobs that follow one another are computed together.
    fn work(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| waiting.blocking_recv()) {
            match job {
                Job::Explain { image, class, answer } => self.explain((&image, class), answer),
                Job::Classify(first) => {
                    let (mut count, mut together) = (first.0.len(), vec![first]);
                    while count < MOST_TOGETHER && next.is_none() {
                        match waiting.try_recv() {
                            Ok(Job::Classify(more)) => {
                                count += more.0.len();
                                together.push(more);
                            }
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.classify(together);
                }
            }
        }
    }

    fn classify(&mut self, mut together: Vec<Asked>) {
        // For some, nobody waits any more.
        together.retain(|(_, answer)| !answer.is_closed());
        let images: Vec<&Vec<f32>> = together.iter().flat_map(|(images, _)| images).collect();
        if images.is_empty() {
            return;
        }
        let mut found = self.predicted(&images).map(Vec::into_iter).map_err(|error| Failure::of_server(&error));
        for (images, answer) in together {
            let of_these =
                found.as_mut().map(|all| all.by_ref().take(images.len()).collect()).map_err(|error| error.clone());
            let _ = answer.send(of_these);
        }
    }

    fn explain(&mut self, (image, class): (&[f32], usize), answer: Reply<Vec<u8>>) {
        if !answer.is_closed() {
            let _ = answer.send(self.explained(image, class).map_err(|error| Failure::of_server(&error)));
        }
    }

    fn predicted(&mut self, images: &[&Vec<f32>]) -> Result<Vec<Prediction>> {
        self.once_more(|worker| {
            if worker.predictor.is_none() {
                worker.predictor = Some(loaded((worker.open)()?, &worker.checkpoints)?);
            }
            let Some(predictor) = &mut worker.predictor else { return Ok(Vec::new()) };
            block_on(predictor.predict_all(images))
        })
    }

    fn explained(&mut self, image: &[f32], class: usize) -> Result<Vec<u8>> {
        let input = self.checkpoints[0].input;
        self.once_more(|worker| {
            if worker.explainer.is_none() {
                worker.explainer = Some(Explainer::new((worker.open)()?, &worker.checkpoints[0])?);
            }
            let Some(explainer) = &mut worker.explainer else { return Ok(Vec::new()) };
            let explanation = block_on(explainer.explain(image, Some(class)))?;
            let (_, heat) = heat_image(image, input, explainer, &explanation.map);
            crate::images::png(&heat.into())
        })
    }

    /// Computes; if the device fails, opens it again and computes once more.
    fn once_more<T>(&mut self, mut compute: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        match compute(self) {
            Err(Error::Device(_) | Error::Memory(_)) => {
                (self.predictor, self.explainer) = (None, None);
                compute(self)
            }
            other => other,
        }
    }
}
