//! `/metrics`, `/healthz` and `/readyz`, on a thread of their own.
//!
//! `/healthz` says that the process answers: if it does not, start it anew. `/readyz` says whether it does its work, or
//! what it lacks: a process that is restoring its state is in good health and not ready, and must not be started anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Shared;
use crate::failure::{Outcome, usage};

/// A role that has not looked at its timers for so long is stuck: a transaction against a dead broker takes up to this.
const STUCK_AFTER: Duration = Duration::from_secs(60);
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Listens on `address` from now on, until the process ends.
pub(super) fn serve(address: SocketAddr, shared: Arc<Shared>) -> Outcome {
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}"))
        .map_err(usage)?;
    listener.set_nonblocking(true)?;
    let local = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .with_state(shared);
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let served = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => axum::serve(listener, router).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!("metrics are not served any more: {error}");
            }
        });
    })?;
    tracing::info!(address = %local, "metrics are served");
    Ok(())
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], shared.telemetry.to_text())
}

async fn readiness(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let mut obstacles = shared.telemetry.obstacles(STUCK_AFTER);
    if shared.stop.is_raised() {
        obstacles.push("stopping".to_owned());
    }
    match obstacles.as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", obstacles.join(", "))),
    }
}
