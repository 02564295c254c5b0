//! Connections: how many, and how long one may be silent.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::access::Access;
use super::failure::Failure;
use crate::{Error, Result};

/// The most connections at a time. Others wait.
const CONNECTIONS: usize = 256;
/// The longest time until the head of a request has come.
const HEAD: Duration = Duration::from_secs(20);
/// The longest life of a connection, and the time that a request has which is under way then. So a client that reads no answer keeps no
/// place.
const LIFE: Duration = Duration::from_secs(300);
const LAST: Duration = Duration::from_secs(120);
/// The pause after a connection that the system did not give, for lack of files.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

impl Server {
    /// Listens on an address. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Usage`] when the address is in use, or not one of this machine.
    pub fn listen(address: SocketAddr, access: Access) -> Result<Self> {
        let refused = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AddrInUse => Error::usage(format!(
                "Port {} of {} is in use, perhaps by another gpunn; give another number, or 0 for any.",
                address.port(),
                address.ip()
            )),
            _ => Error::usage(format!("Nothing can be served on {address}: {error}.")),
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let access = access.on_port(address.port());
        Ok(Self { listener, address, access })
    }

    /// The address of the first page. `name` is that of this machine, for a server on all its addresses.
    pub fn url(&self, name: &str) -> String {
        let host = match self.address.ip().is_unspecified() {
            true => format!("{name}:{}", self.address.port()),
            false => self.address.to_string(),
        };
        format!("http://{host}{}", self.access.entry())
    }

    /// Whether each request needs a token.
    pub fn needs_token(&self) -> bool {
        self.access.token().is_some()
    }

    /// Serves until the process ends. The waiting is done by one thread; `workers` threads do what takes long.
    ///
    /// # Errors
    /// [`Error::Device`] when the system gives no threads.
    pub(super) fn run(self, router: Router, workers: usize) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(workers)
            .build()
            .map_err(|error| Error::Device(format!("nothing can be served: {error}")))?;
        let router = router
            .fallback(Failure::nothing_here)
            .method_not_allowed_fallback(Failure::other_method)
            .layer(middleware::from_fn_with_state(self.access, Access::check));
        runtime.block_on(accept(self.listener, router))
    }
}

async fn accept(listener: TcpListener, router: Router) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|error| Error::Device(format!("nothing can be served: {error}")))?;
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = free.clone().acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
            // A connection that breaks concerns nobody else.
            if timeout(LIFE, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(LAST, connection).await;
            }
            drop(place);
        });
    }
}
