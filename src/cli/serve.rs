//! `gpunn serve`.

use std::env::VarError;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::serve::{Access, Examples, Limits, Network, PORT, Server, TryIt};
use crate::train::Checkpoint;
use crate::{Error, Result, gpu};

use super::flags::{ComputeArgs, EnsembleArgs, ViewArgs, load_data_of};
use super::network::NetworkArgs;
use super::numbers::whole;
use super::working::Working;

/// Help heading of the flags for connections.
const SERVER_HEADING: &str = "Server";
/// The most images of a request.
const IMAGES: usize = 64;
/// The environment variable that may hold the token, which other users of the machine cannot see.
const TOKEN: &str = "GPUNN_TOKEN";

/// Serves a trained classifier until Ctrl-C: a page for a browser, where images are chosen, dropped, pasted or taken by the camera, and
/// `POST /predict` for programs, which answers in JSON. Only this machine is answered, unless --host says another address; then each request
/// needs a token.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "gpunn serve [OPTIONS] RUN\n       gpunn serve [OPTIONS] --pretrained FILE",
    after_help = "Examples:\n  gpunn serve runs/pets-20260101-1\n  \
        gpunn serve runs/pets-20260101-1 --port 8080 --device cpu\n  \
        curl --data-binary @photo.jpg http://127.0.0.1:7878/predict"
)]
pub struct Args {
    /// A run directory or a checkpoint file
    run: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    ensemble: EnsembleArgs,
    #[command(flatten)]
    views: ViewArgs,
    /// The port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = PORT, help_heading = SERVER_HEADING)]
    port: u16,
    /// The address to listen on; 0.0.0.0 answers other machines, too, without encryption
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = SERVER_HEADING)]
    host: IpAddr,
    /// The token that each request needs [default: GPUNN_TOKEN; else none on this machine, and a random one beyond it]
    #[arg(long, value_name = "TOKEN", help_heading = SERVER_HEADING)]
    token: Option<String>,
    /// The largest request, in MB
    #[arg(long, value_name = "MB", default_value_t = 20, value_parser = whole::<usize>(1), help_heading = SERVER_HEADING)]
    max_upload: usize,
    /// Show no training images beside the classes, so that the dataset is not loaded
    #[arg(long, help_heading = SERVER_HEADING)]
    no_examples: bool,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// What `--json` prints, before the first request.
#[derive(serde::Serialize)]
struct Started {
    url: String,
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.compute.device.set_threads()?;
    let Args { run, network, ensemble, views, compute, .. } = args;
    match (&run, network.is_given()) {
        (None, false) => {
            return Err(Error::usage("No network was named; give a run directory, or weights with --pretrained."));
        }
        (Some(run), true) => {
            let run = run.display();
            return Err(Error::usage(format!(
                "{run} and --pretrained or --model both name a network; give one of them."
            )));
        }
        _ => {}
    }
    let token = args.token.map_or_else(token, |token| Ok(Some(token)))?;
    let server = Server::listen(SocketAddr::new(args.host, args.port), Access::new(args.host, token)?)?;
    let checkpoint = network.of_run_or_imagenet(run.as_deref(), compute.quiet)?;
    let members = ensemble.with(checkpoint, &network.epoch)?;
    let members = members.into_iter().map(|member| views.with(member)).collect::<Result<Vec<_>>>()?;
    let first = members[0].clone();
    let workers = rayon::current_num_threads();
    let most = args.max_upload.checked_mul(1_000_000).filter(|&bytes| bytes <= isize::MAX as usize);
    let upload = most.ok_or_else(|| Error::usage("--max-upload is too large."))?;
    let limits = Limits { upload, images: IMAGES, workers };
    let name = run.as_deref().map_or_else(|| first.recipe.model.name.clone(), named);
    let examples = match (&run, args.no_examples) {
        (_, true) => Examples::none("--no-examples was given."),
        (None, _) => Examples::none("the network is of no run."),
        (Some(run), _) => examples((run, network.data_dir()), &first),
    };
    let mut quiet = compute.quiet;
    let device = compute.device;
    let open = move || {
        let engine = device.open(gpu::DeviceOptions::default(), quiet);
        quiet = true;
        engine
    };
    let work = Working::new("preparing the network", compute.quiet);
    let network = Network::start(members, Box::new(open))?;
    drop(work);
    let served = TryIt::new(name.clone(), first, (network, examples), limits)?;
    let url = server.url(&sysinfo::System::host_name().unwrap_or_else(|| "localhost".into()));
    compute.output.print(&Started { url }, |started| {
        super::print_line(&format!("serving {name} at {} (Ctrl-C stops)", started.url));
    })?;
    super::streams::written()?;
    served.serve(server)?;
    Ok(ExitCode::SUCCESS)
}

/// The token that the environment holds.
pub(super) fn token() -> Result<Option<String>> {
    match std::env::var(TOKEN) {
        Ok(token) => Ok(Some(token)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::usage(format!("{TOKEN} holds a token that is not text."))),
    }
}

/// The name of a run: that of its directory.
fn named(run: &Path) -> String {
    let whole = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    whole.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Training images of a run's dataset.
fn examples((run, data_dir): (&Path, Option<&Path>), checkpoint: &Checkpoint) -> Examples {
    let (run, data_dir, of_run) = (run.to_owned(), data_dir.map(Path::to_owned), checkpoint.clone());
    Examples::load(checkpoint.classes.len(), move || load_data_of(&run, &of_run, data_dir.as_deref()))
}
