//! What librdkafka tells of its own accord: log lines and delivery reports.
//! It must never act on either.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Message as _};
use springtide_protocol::{Offset, OffsetMap, PartitionId};

/// The context of every client.
#[derive(Clone, Debug)]
pub(super) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "kafka", %error, "{reason}");
    }
}

impl ConsumerContext for Context {}

/// What became of the records of one transaction.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Mutex<(OffsetMap, Option<KafkaError>)>);

impl Deliveries {
    /// The next offset after the last record of each partition, or the first fault.
    pub(super) fn outcome(&self) -> Result<OffsetMap, KafkaError> {
        let held = self.0.lock();
        match &held.1 {
            Some(fault) => Err(fault.clone()),
            None => Ok(held.0.clone()),
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Deliveries>;

    fn delivery(&self, result: &DeliveryResult<'_>, deliveries: Self::DeliveryOpaque) {
        let mut held = deliveries.0.lock();
        match result {
            Ok(message) => {
                let partition = PartitionId(message.partition());
                let next = Offset(message.offset()).next();
                if next > held.0.next(partition) {
                    held.0.set(partition, next);
                }
            }
            Err((fault, _)) => held.1 = held.1.take().or_else(|| Some(fault.clone())),
        }
    }
}
