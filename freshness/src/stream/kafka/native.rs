//! The two calls of librdkafka that `rdkafka` has no safe form for: polling
//! with the offset of a partition's end, and a topic's id. All of this room's
//! `unsafe` is here; pointers never leave it.

#![expect(unsafe_code, reason = "librdkafka's C interface; each use says why it is sound")]

use std::ffi::{CString, c_char};
use std::ptr;
use std::slice;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use springtide_protocol::{Offset, PartitionId};
use uuid::Uuid;

use super::context::Context;
use crate::stream::Record;

/// What a poll brings.
#[derive(Debug)]
pub(super) enum Event {
    Record(Record),
    /// Everything below `next` has been delivered, and there is nothing more now.
    End {
        partition: PartitionId,
        next: Offset,
    },
    Fault {
        partition: PartitionId,
        code: RDKafkaErrorCode,
    },
}

/// The consumer's next event. Control records are passed silently: they show in
/// its position.
pub(super) fn poll(consumer: &BaseConsumer<Context>, wait: Duration) -> Option<Event> {
    // SAFETY: the client lives as long as `consumer`; the call is thread-safe.
    let message =
        unsafe { c::rd_kafka_consumer_poll(consumer.client().native_ptr(), millis(wait)) };
    // SAFETY: NULL, or a message that is ours until it is destroyed.
    let held = Owned::new(message, c::rd_kafka_message_destroy)?;
    // SAFETY: not NULL, valid and not written to until `held` is dropped.
    let message = unsafe { &*held.pointer };
    let partition = PartitionId(message.partition);
    Some(match message.err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Event::Record(Record {
            partition,
            offset: Offset(message.offset),
            timestamp_ms: timestamp_ms(message),
            // SAFETY: pointer and length describe one buffer inside the message.
            key: unsafe { copied(message.key, message.key_len) },
            // SAFETY: as above.
            value: unsafe { copied(message.payload, message.len) },
        }),
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
            Event::End { partition, next: Offset(message.offset) }
        }
        code => Event::Fault { partition, code: code.into() },
    })
}

fn timestamp_ms(message: &c::rd_kafka_message_t) -> Option<i64> {
    // SAFETY: the message is valid; the kind of timestamp may be left untold.
    let timestamp = unsafe { c::rd_kafka_message_timestamp(message, ptr::null_mut()) };
    (timestamp >= 0).then_some(timestamp)
}

/// # Safety
/// `start` is NULL or the start of `length` bytes that may be read.
unsafe fn copied(start: *const std::ffi::c_void, length: usize) -> Option<Bytes> {
    // SAFETY: the caller's promise.
    (!start.is_null())
        .then(|| Bytes::copy_from_slice(unsafe { slice::from_raw_parts(start.cast(), length) }))
}

/// A topic as the broker describes it.
#[derive(Debug)]
pub(super) struct Described {
    /// Nil where the broker is too old to have ids.
    pub(super) id: Uuid,
    pub(super) partitions: Vec<PartitionId>,
}

/// Asks for a topic's id and partitions; blocks for at most `wait`.
pub(super) fn describe_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    wait: Duration,
) -> Result<Described, RDKafkaErrorCode> {
    let rk = client.native_ptr();
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    let failed = RDKafkaErrorCode::Fail;
    // SAFETY: constructors return NULL or an object that is ours to destroy, once,
    // with the function given; `names` holds one valid C string.
    let (topics, queue, options) = unsafe {
        (
            Owned::new(
                c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
                c::rd_kafka_TopicCollection_destroy,
            )
            .ok_or(failed)?,
            Owned::new(c::rd_kafka_queue_new(rk), c::rd_kafka_queue_destroy).ok_or(failed)?,
            Owned::new(
                c::rd_kafka_AdminOptions_new(
                    rk,
                    c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
                ),
                c::rd_kafka_AdminOptions_destroy,
            )
            .ok_or(failed)?,
        )
    };
    let mut reason: [c_char; 256] = [0; 256];
    // SAFETY: all objects are alive; the request copies what it needs. The event
    // is ours to destroy, and the queue outlives it.
    let event = unsafe {
        c::rd_kafka_AdminOptions_set_request_timeout(
            options.pointer,
            millis(wait),
            reason.as_mut_ptr(),
            reason.len(),
        );
        c::rd_kafka_DescribeTopics(rk, topics.pointer, options.pointer, queue.pointer);
        let event = c::rd_kafka_queue_poll(queue.pointer, millis(wait + Duration::from_secs(1)));
        Owned::new(event, c::rd_kafka_event_destroy).ok_or(RDKafkaErrorCode::OperationTimedOut)?
    };
    // SAFETY: the event is valid while `event` is held, and so is all read from it.
    unsafe { described(event.pointer) }
}

/// # Safety
/// `event` is a valid event; nothing is kept of it.
unsafe fn described(event: *mut c::rd_kafka_event_t) -> Result<Described, RDKafkaErrorCode> {
    // SAFETY: reads of a valid event; the array has `count` valid descriptions.
    unsafe {
        let result = c::rd_kafka_event_DescribeTopics_result(event);
        let code = c::rd_kafka_event_error(event);
        if result.is_null() || code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(code.into());
        }
        let mut count = 0;
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count == 0 {
            return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
        }
        let topic = *topics;
        let fault = c::rd_kafka_TopicDescription_error(topic);
        if !fault.is_null() {
            let code = c::rd_kafka_error_code(fault);
            if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(code.into());
            }
        }
        let id = c::rd_kafka_TopicDescription_topic_id(topic);
        let id = if id.is_null() {
            Uuid::nil()
        } else {
            let high = c::rd_kafka_Uuid_most_significant_bits(id);
            let low = c::rd_kafka_Uuid_least_significant_bits(id);
            Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned())
        };
        let list = c::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let list = if list.is_null() { &[] } else { slice::from_raw_parts(list, count) };
        let partition =
            |info: &*const _| PartitionId(c::rd_kafka_TopicPartitionInfo_partition(*info));
        Ok(Described { id, partitions: list.iter().map(partition).collect() })
    }
}

/// An object of librdkafka's that is destroyed when it goes out of scope.
struct Owned<T> {
    pointer: *mut T,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// `pointer` is NULL or ours to destroy with `destroy`.
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        // Not `then_some`: what it is given would be made, and dropped, for NULL as well.
        (!pointer.is_null()).then(|| Self { pointer, destroy })
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: not NULL, ours, and destroyed only here.
        unsafe { (self.destroy)(self.pointer) }
    }
}

fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}
