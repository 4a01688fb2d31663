//! SIGTERM and Ctrl-C: the first asks for a clean end, the second ends at once.

/// Waits for the first signal.
///
/// # Errors
/// Where the system does not let signals be listened to.
pub(crate) async fn stop_requested() -> std::io::Result<()> {
    next_signal().await?;
    tokio::spawn(async {
        if next_signal().await.is_ok() {
            tracing::warn!("ending at once");
            std::process::exit(130);
        }
    });
    Ok(())
}

#[cfg(unix)]
async fn next_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn next_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
