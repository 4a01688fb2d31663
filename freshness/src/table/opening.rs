//! Opens a table's lake and topic, however long it takes, and says meanwhile
//! what is in the way.

use std::sync::Arc;

use super::Surroundings;
use super::backoff::Backoff;
use super::core::{Core, CoreSettings, REREAD_OFFSETS};
use super::health::describe;
use super::shared::Shared;
use crate::lake::{LakeError, LakeSnapshot};
use crate::ports::TableLake;
use crate::stream::{StreamSource, throttle};

/// Opens the lake's table, reads it for the first time and sets up the core.
pub(super) async fn lake(shared: &Arc<Shared>, around: &Surroundings) -> Arc<dyn TableLake> {
    let mut backoff = Backoff::default();
    loop {
        let asked_micros = around.clock.now_micros();
        match open(shared, around).await {
            Ok((lake, snapshot)) => {
                let former = former(shared, around, lake.as_ref(), asked_micros).await;
                let own_epoch = lake.own_epoch();
                begin(shared, around, (snapshot, former, own_epoch), asked_micros).await;
                return lake;
            }
            Err(error) => {
                let reason = describe(&error);
                tracing::warn!(table = %shared.name(), reason, "the lake is not there yet");
                let mut health = shared.health.lock();
                health.lake = Some(reason);
                health.is_unreadable = matches!(error, LakeError::DeleteFile { .. });
            }
        }
        backoff.wait().await;
    }
}

async fn open(
    shared: &Shared,
    around: &Surroundings,
) -> Result<(Arc<dyn TableLake>, Arc<LakeSnapshot>), LakeError> {
    let lake = around.ports.lake(&shared.settings).await?;
    let snapshot = lake.refresh().await?;
    Ok((lake, snapshot))
}

/// The ancestor that versions of an earlier life may need. Without it they are gone, which
/// is no reason not to begin.
async fn former(
    shared: &Shared,
    around: &Surroundings,
    lake: &dyn TableLake,
    now: i64,
) -> Option<Arc<LakeSnapshot>> {
    shared.settings.topic.as_ref()?;
    let window = i64::try_from(around.core.pin_window.as_micros()).unwrap_or(i64::MAX);
    match lake.former(now.saturating_sub(window), REREAD_OFFSETS).await {
        Ok(former) => former,
        Err(error) => {
            let reason = describe(&error);
            tracing::warn!(table = %shared.name(), reason, "earlier versions are not kept");
            None
        }
    }
}

async fn begin(
    shared: &Shared,
    around: &Surroundings,
    (snapshot, former, decode_epoch): (Arc<LakeSnapshot>, Option<Arc<LakeSnapshot>>, Option<u32>),
    asked_micros: i64,
) {
    let settings = CoreSettings {
        table: shared.name().clone(),
        streamed: shared.settings.topic.is_some(),
        tag_partition: shared.settings.tag_partition().cloned(),
        commit: shared.settings.commit,
        tail: around.core.tail.clone(),
        pin_window: around.core.pin_window,
        decode_epoch,
    };
    let now = around.clock.now_micros();
    let mut core = Core::new(settings, snapshot.clone(), former, now);
    core.install(snapshot, asked_micros, now);
    *shared.core.lock() = Some(core);
    let letters = around.letters.count(shared.name()).await.unwrap_or(0);
    let mut health = shared.health.lock();
    (health.lake, health.is_unreadable) = (None, false);
    health.dead_letters = letters;
    drop(health);
    (around.described)();
}

/// Opens the topic.
pub(super) async fn source(shared: &Shared, around: &Surroundings) -> Arc<dyn StreamSource> {
    let topic = shared.settings.topic.clone().unwrap_or_default();
    let mut backoff = Backoff::default();
    loop {
        match around.ports.topic(&topic).await {
            Ok(source) => return source,
            Err(error) => {
                let reason = describe(&error);
                let table = shared.name();
                if let Some(left_out) = throttle::pass(&format!("{table}: {reason}")) {
                    tracing::warn!(%table, reason, left_out, "the stream is not there yet");
                }
                shared.health.lock().stream = Some(reason);
            }
        }
        backoff.wait().await;
    }
}
