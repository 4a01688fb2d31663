//! The edge as a whole, over loopback, in front of an origin that follows a
//! script; the change feed is spoken by the tests, so that every race is played
//! in a fixed order.

mod answers;
mod dead_origin;
mod following;
mod passing;
mod purging;
mod races;
mod world;
