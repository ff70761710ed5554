//! gRPC: one fallback handler for every method, with reflection and health beside it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::{Request, State};
use bytes::{Buf, BufMut, Bytes};
use futures::{Stream, StreamExt, future::BoxFuture, stream};
use plasma_proto::{
    DESCRIPTORS,
    plasma::market::v1::{
        JobState, QueryJobRequest, QueryJobResponse, WatchJobRequest, WatchJobResponse,
    },
};
use prost::Message;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, watch},
};
use tonic::{
    Code, Response, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
    server::{Grpc, ServerStreamingService, UnaryService},
    service::Routes,
};

use super::{
    Answer, Doors, Failure, Gate, HEIGHT_HEADER, MESSAGE_BYTES_MAX, TIMEOUT_S, WATCH_JOB,
    WATCHERS_MAX, ask, asked_height,
    limits::{self, Spoken},
};

/// Path of the query that WatchJob repeats.
const JOB: &str = "/plasma.market.v1.Query/Job";

/// Bytes in, bytes out: the handlers decode.
#[derive(Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(input.copy_to_bytes(input.remaining())))
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Status::new(Code::from_i32(failure.grpc), failure.message)
    }
}

fn reply<T>(body: T, height: u64) -> Response<T> {
    let mut response = Response::new(body);
    response.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(height));
    response
}

/// One method.
struct Unary {
    doors: Arc<Doors>,
    path: String,
}

impl UnaryService<Bytes> for Unary {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (doors, path) = (Arc::clone(&self.doors), self.path.clone());
        Box::pin(async move {
            let height = asked_height(&request.metadata().clone().into_headers())?;
            let answer = ask(&doors, path, height, request.into_inner()).await?;
            Ok(reply(answer.value.into(), answer.height))
        })
    }
}

/// The job whenever it changes.
struct Watch {
    doors: Arc<Doors>,
}

type Updates = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl ServerStreamingService<Bytes> for Watch {
    type Response = Bytes;
    type ResponseStream = Updates;
    type Future = BoxFuture<'static, Result<Response<Updates>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = WatchJobRequest::decode(request.into_inner())
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            let place = Arc::clone(&doors.watchers).try_acquire_owned().map_err(|_| {
                Status::resource_exhausted(format!(
                    "{WATCHERS_MAX} jobs are watched already; ask Job now and then instead"
                ))
            })?;
            let mut watched = Watched {
                _place: place,
                heights: doors.node().watch(),
                request: QueryJobRequest { job_id: request.job_id }.encode_to_vec().into(),
                doors,
                last: None,
                ended: false,
            };
            // What is wrong at the start is the call's answer, not the stream's.
            let first = watched.now().await?;
            let height = first.as_ref().map_or(0, |first| first.height.cast_unsigned());
            let later = stream::unfold(watched, |mut watched| async move {
                let next = watched.next().await?;
                Some((next.map(|job| job.encode_to_vec().into()), watched))
            });
            let first = stream::iter(first.map(|job| Bytes::from(job.encode_to_vec()))).map(Ok);
            let all: Updates = Box::pin(first.chain(later));
            Ok(reply(all, height))
        })
    }
}

struct Watched {
    _place: OwnedSemaphorePermit,
    doors: Arc<Doors>,
    heights: watch::Receiver<u64>,
    request: Bytes,
    last: Option<Vec<u8>>,
    ended: bool,
}

impl Watched {
    /// The job, if it differs from what was sent last.
    async fn now(&mut self) -> Result<Option<WatchJobResponse>, Status> {
        self.heights.mark_unchanged();
        let Answer { value, height } =
            ask(&self.doors, JOB.to_owned(), 0, self.request.clone()).await?;
        if self.last.as_ref() == Some(&value) {
            return Ok(None);
        }
        let QueryJobResponse { job, payload } = QueryJobResponse::decode(&value[..])
            .map_err(|error| Status::internal(error.to_string()))?;
        self.last = Some(value);
        let state = job.as_ref().map(|job| job.state());
        self.ended = matches!(state, Some(JobState::Settled | JobState::Refunded));
        Ok(Some(WatchJobResponse { job, payload, height: height.cast_signed() }))
    }

    /// The next change; `None` once the job has ended.
    async fn next(&mut self) -> Option<Result<WatchJobResponse, Status>> {
        while !self.ended {
            self.heights.changed().await.ok()?;
            match self.now().await {
                Ok(None) => {}
                Ok(Some(job)) => return Some(Ok(job)),
                Err(status) => {
                    self.ended = true;
                    return Some(Err(status));
                }
            }
        }
        None
    }
}

async fn handle(
    State(doors): State<Arc<Doors>>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let path = request.uri().path().to_owned();
    let mut grpc = Grpc::new(Raw)
        .apply_max_message_size_config(Some(MESSAGE_BYTES_MAX), Some(MESSAGE_BYTES_MAX));
    // The wait for the request's own bytes counts; a stream's later messages do not.
    let answer = async {
        if path == WATCH_JOB {
            grpc.server_streaming(Watch { doors }, request).await
        } else {
            grpc.unary(Unary { doors, path }, request).await
        }
    };
    match tokio::time::timeout(Duration::from_secs(TIMEOUT_S), answer).await {
        Ok(answer) => answer,
        Err(_) => Status::deadline_exceeded(format!("no answer within {TIMEOUT_S} s")).into_http(),
    }
}

/// All gRPC services, as routes.
pub async fn routes(doors: Arc<Doors>) -> anyhow::Result<axum::Router> {
    let services = doors.services();
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .with_service_name("grpc.health.v1.Health")
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        services.iter().fold(builder, |builder, name| builder.with_service_name(name))
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in &services {
        reporter.set_service_status(service, tonic_health::ServingStatus::Serving).await;
    }
    let mut routes = Routes::default();
    routes = routes
        .add_service(builder().with_service_name("grpc.reflection.v1.ServerReflection").build_v1()?)
        .add_service(
            builder()
                .with_service_name("grpc.reflection.v1alpha.ServerReflection")
                .build_v1alpha()?,
        )
        .add_service(health);
    let fallback = axum::Router::new().fallback(handle).with_state(doors);
    Ok(routes.into_axum_router().fallback_service(fallback))
}

/// Serves gRPC until `stopped` resolves.
pub async fn serve(
    doors: Arc<Doors>,
    listener: TcpListener,
    gate: Arc<Gate>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    limits::serve(listener, routes(doors).await?, Spoken::Grpc, gate, stopped).await;
    Ok(())
}

/// Opens the port.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}; set another address in plasma.toml")
    })
}
