//! What librdkafka tells of its own accord: log lines and delivery reports.
//! It must never act on either.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Message as _};
use springtide_protocol::{Offset, OffsetMap, PartitionId};

use super::failure::{self, Class};
use crate::stream::throttle;

/// The context of every client.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// Why a broker refuses connections: librdkafka goes on trying, and whoever waits
    /// for an answer learns of nothing but time. The same cause is told every 30 s only.
    refused: Arc<Mutex<Option<String>>>,
}

impl Context {
    /// Why connections are refused, where that is what was last heard of them.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refused.lock().clone()
    }

    /// A broker answers.
    pub(super) fn answered(&self) {
        *self.refused.lock() = None;
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if matches!(level, RDKafkaLogLevel::Debug) {
            tracing::debug!(target: "kafka", facility, "{message}");
            return;
        }
        // A broker that is down is told of with each try to connect.
        let Some(left_out) = throttle::pass(message) else { return };
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "kafka", facility, left_out, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "kafka", facility, left_out, "{message}");
            }
            _ => tracing::info!(target: "kafka", facility, left_out, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(code) if failure::class(code) == Class::Refused => {
                *self.refused.lock() = Some(reason.to_owned());
            }
            // Nobody is there to refuse anything.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                self.answered();
            }
            _ => {}
        }
        if let Some(left_out) = throttle::pass(reason) {
            tracing::warn!(target: "kafka", %error, left_out, "{reason}");
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Counts the log's lines.
    struct Lines(Arc<AtomicU32>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_dead_broker_does_not_fill_the_log() {
        let (lines, context) = (Arc::new(AtomicU32::new(0)), Context::default());
        tracing::subscriber::with_default(Lines(lines.clone()), || {
            for ms in 0..100 {
                let text = format!("dead:9092: Connect failed (after {ms}ms in state CONNECT)");
                context.log(RDKafkaLogLevel::Error, "FAIL", &text);
                context.error(KafkaError::NoMessageReceived, "1/1 brokers of `dead` are down");
            }
        });
        assert_eq!(lines.load(Ordering::Relaxed), 2, "one line for each distinct message");
    }

    #[test]
    fn a_refusal_is_remembered_until_a_broker_answers_or_is_gone() {
        let context = Context::default();
        let told = |code| context.error(KafkaError::Global(code), "why");
        told(RDKafkaErrorCode::Authentication);
        told(RDKafkaErrorCode::AllBrokersDown);
        assert_eq!(context.refusal().as_deref(), Some("why"), "that all are down follows it");
        told(RDKafkaErrorCode::BrokerTransportFailure);
        assert_eq!(context.refusal(), None);
        told(RDKafkaErrorCode::SSL);
        context.answered();
        assert_eq!(context.refusal(), None);
    }
}
