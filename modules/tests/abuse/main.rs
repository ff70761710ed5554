//! What somebody who means ill may send: every number at its edges, roundings a million times over,
//! queues of a million, transactions in places where they were not meant to be.

#[path = "../../fuzz/src/lib.rs"]
#[allow(dead_code, reason = "the fuzz targets have the rest")]
mod bodies;
#[path = "../common/mod.rs"]
mod common;

mod amounts;
mod fees;
mod queues;
mod replay;
