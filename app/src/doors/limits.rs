//! Connections of the gRPC, REST and front door ports, and what one address may take of them.
//!
//! A connection that says nothing, or says it too slowly, is closed; a peer that opens and resets
//! streams in a row is cut off; over its rate an address is told so. Addresses of this machine are
//! counted together with all others, but have no share or rate of their own: a proxy there speaks
//! for many.

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use governor::{DefaultKeyedRateLimiter, Quota};
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tower::ServiceExt;

use super::{CONCURRENT_MAX, Failure, GRPC_EXHAUSTED};
use crate::config::Limits;

/// How long a connection may take to its first whole request, and, over HTTP/1.1, to each next one.
pub const FIRST_REQUEST_S: u64 = 10;
/// A connection that is silent this long is asked whether it lives.
const KEEPALIVE_S: u64 = 60;
/// And is closed when it does not answer within this.
const KEEPALIVE_TIMEOUT_S: u64 = 20;
/// Streams that a peer may open and reset before the connection is closed.
const PENDING_RESETS_MAX: usize = 64;
/// Streams that a peer may make this node reset before the connection is closed.
const LOCAL_RESETS_MAX: usize = 256;
/// Largest block of headers, bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Header lines of an HTTP/1.1 request.
const HEADER_LINES_MAX: usize = 64;
/// Pause after the operating system refuses to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Addresses whose rate is remembered before the idle ones are forgotten.
const RATES_KEPT_MAX: usize = 10_000;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Grpc,
}

/// Who may come in. One per port.
pub struct Gate {
    limits: Limits,
    open: Mutex<Open>,
    rates: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A place that a connection has; dropping it makes room. Every request has it among its
/// extensions, so that what outlives the connection, as a WebSocket does, can keep it.
pub(crate) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Place {
    /// Takes as much from the address's rate as `requests` more would: what was free for it was not
    /// for the node.
    pub fn charge(&self, requests: usize) {
        for _ in 0..requests {
            if !self.gate.may_ask(self.address) {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open();
        open.all = open.all.saturating_sub(1);
        if let Entry::Occupied(mut of) = open.of.entry(self.address) {
            *of.get_mut() = of.get().saturating_sub(1);
            if *of.get() == 0 {
                of.remove();
            }
        }
    }
}

/// An IPv6 address that stands for an IPv4 one is that one; of the others a network of 64 bits,
/// which one peer has whole, counts as one.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => {
            IpAddr::V6((six.to_bits() & !u128::from(u64::MAX)).into())
        }
        IpAddr::V6(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        four => four,
    }
}

impl Gate {
    /// A port with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        let rates = NonZeroU32::new(limits.requests_per_s).map(|rate| {
            let burst = NonZeroU32::new(limits.requests_burst).unwrap_or(rate);
            DefaultKeyedRateLimiter::hashmap(Quota::per_second(rate).allow_burst(burst))
        });
        Arc::new(Self { limits, open: Mutex::default(), rates })
    }

    /// Counts stay right whatever panics.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the address has a share and a rate of its own.
    fn counts(&self, address: IpAddr) -> bool {
        self.limits.loopback || !address.is_loopback()
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.open();
        if open.all >= self.limits.connections_max {
            return None;
        }
        let counts = self.counts(address);
        let of = open.of.entry(address).or_default();
        if counts && *of >= self.limits.connections_per_address_max {
            return None;
        }
        *of += 1;
        open.all += 1;
        drop(open);
        Some(Place { gate: Arc::clone(self), address })
    }

    /// Whether the address may ask once more now.
    fn may_ask(&self, address: IpAddr) -> bool {
        let Some(rates) = self.rates.as_ref().filter(|_| self.counts(address)) else {
            return true;
        };
        if rates.len() > RATES_KEPT_MAX {
            rates.retain_recent();
        }
        rates.check_key(&address).is_ok()
    }
}

/// Stands in a request of an address that is over its rate, so many a second. REST and the front
/// door answer it themselves, with the headers that a browser needs to read the answer.
#[derive(Clone, Copy)]
pub(crate) struct TooMany(u32);

impl From<TooMany> for Failure {
    fn from(TooMany(rate): TooMany) -> Self {
        let message = format!("more than {rate} requests a second; wait, and ask less often");
        Self::of(GRPC_EXHAUSTED, &message)
    }
}

/// Serves `app` on a port until `stopped` resolves, then lets open calls finish.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    spoken: Spoken,
    gate: Arc<Gate>,
    stopped: impl Future<Output = ()>,
) {
    let mut stopped = pin!(stopped);
    let (stopping, stop) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut stopped => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = peer(address.ip());
        let Some(place) = gate.enter(address) else {
            tracing::debug!(%address, "too many connections");
            continue;
        };
        connections.spawn(connection(stream, app.clone(), spoken, place, stop.clone()));
    }
    drop(listener);
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
}

fn server(spoken: Spoken) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    match spoken {
        Spoken::Http1 => {
            server = server.http1_only();
            server
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(FIRST_REQUEST_S))
                .max_headers(HEADER_LINES_MAX);
        }
        Spoken::Grpc => {
            server = server.http2_only();
            server
                .http2()
                .timer(TokioTimer::new())
                .max_concurrent_streams(u32::try_from(CONCURRENT_MAX).ok())
                .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
                .max_local_error_reset_streams(LOCAL_RESETS_MAX)
                .max_header_list_size(HEADER_BYTES_MAX)
                .keep_alive_interval(Duration::from_secs(KEEPALIVE_S))
                .keep_alive_timeout(Duration::from_secs(KEEPALIVE_TIMEOUT_S));
        }
    }
    server
}

async fn connection(
    stream: TcpStream,
    app: Router,
    spoken: Spoken,
    place: Place,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let place = Arc::new(place);
    let service = hyper::service::service_fn({
        let (asked, place) = (Arc::clone(&asked), Arc::clone(&place));
        move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let refused = !place.gate.may_ask(place.address);
            let over = TooMany(place.gate.limits.requests_per_s);
            request.extensions_mut().insert(Arc::clone(&place));
            let app = app.clone();
            async move {
                if refused && spoken == Spoken::Grpc {
                    let status = tonic::Status::from(Failure::from(over));
                    return Ok::<_, Infallible>(status.into_http());
                }
                if refused {
                    request.extensions_mut().insert(over);
                }
                app.oneshot(request.map(Body::new)).await
            }
        }
    });
    let server = server(spoken);
    let mut served = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut late = pin!(tokio::time::sleep(Duration::from_secs(FIRST_REQUEST_S)));
    let (mut watched, mut closing) = (true, false);
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            () = &mut late, if watched => {
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                watched = false;
            }
            _ = stop.wait_for(|stop| *stop), if !closing => {
                served.as_mut().graceful_shutdown();
                closing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { loopback: true, ..Limits::default() }
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let gate =
            Gate::new(Limits { connections_max: 3, connections_per_address_max: 2, ..limits() });
        let (one, two) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([2, 2, 2, 2]));
        let first = gate.enter(one).unwrap();
        let _second = gate.enter(one).unwrap();
        assert!(gate.enter(one).is_none(), "an address has its share");
        let _third = gate.enter(two).unwrap();
        assert!(gate.enter(two).is_none(), "all together have theirs");
        drop(first);
        assert!(gate.enter(one).is_some());
        let open = gate.open();
        assert_eq!((open.all, open.of.len()), (2, 2));
    }

    #[test]
    fn an_address_over_its_rate_waits_and_others_do_not() {
        let gate = Gate::new(Limits { requests_per_s: 1, requests_burst: 3, ..limits() });
        let (one, two) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([2, 2, 2, 2]));
        let allowed = (0..10).filter(|_| gate.may_ask(one)).count();
        assert_eq!(allowed, 3);
        assert!(gate.may_ask(two));
        let free = Gate::new(Limits { requests_per_s: 0, ..limits() });
        assert!((0..10_000).all(|_| free.may_ask(one)));
        let local = Gate::new(Limits { requests_per_s: 1, requests_burst: 1, ..Limits::default() });
        assert!((0..100).all(|_| local.may_ask(Ipv4Addr::LOCALHOST.into())));
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let text = |text: &str| peer(text.parse().unwrap()).to_string();
        assert_eq!(text("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(text("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(text("::1"), "127.0.0.1");
    }
}
