//! REST, as the Cosmos gateway speaks it: routes from annotations, protobuf JSON.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use plasma_modules::query::{QueryCode, QueryError};
use prost::Message;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
};

use super::{
    CONCURRENT_MAX, Doors, Failure, GRPC_PRECONDITION, Gate, MESSAGE_BYTES_MAX, TIMEOUT_S, ask,
    asked_height,
    json::{encoded_to_json, from_json, put},
    limits::{self, Spoken, TooMany},
    template::{Route, query_fields, routes},
};

/// The reply's height, in the name that the gateway gives it.
const REPLY_HEIGHT_HEADER: HeaderName =
    HeaderName::from_static("grpc-metadata-x-cosmos-block-height");

/// How long a browser remembers that it may ask.
const PREFLIGHT_S: u64 = 600;

struct Gateway {
    doors: Arc<Doors>,
    routes: Vec<Route>,
}

/// HTTP's word for gRPC's number.
fn status(grpc: i32) -> StatusCode {
    match grpc {
        0 => StatusCode::OK,
        1 => StatusCode::REQUEST_TIMEOUT,
        3 | 9 | 11 => StatusCode::BAD_REQUEST,
        4 => StatusCode::GATEWAY_TIMEOUT,
        5 => StatusCode::NOT_FOUND,
        6 | 10 => StatusCode::CONFLICT,
        7 => StatusCode::FORBIDDEN,
        8 => StatusCode::TOO_MANY_REQUESTS,
        12 => StatusCode::NOT_IMPLEMENTED,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        16 => StatusCode::UNAUTHORIZED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.grpc, "message": self.message, "details": [] });
        (status(self.grpc), Json(body)).into_response()
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    QueryError::invalid(message).into()
}

impl Gateway {
    async fn answer(&self, request: Request) -> Result<Response, Failure> {
        if let Some(over) = request.extensions().get::<TooMany>() {
            return Err((*over).into());
        }
        let path = request.uri().path().to_owned();
        // HEAD is answered as GET is; the server leaves the body out.
        let head = request.method() == Method::HEAD;
        let verb = if head { &Method::GET } else { request.method() };
        let found = self
            .routes
            .iter()
            .filter(|route| route.verb == *verb)
            .find_map(|route| Some((route, route.matches(&path)?)));
        let Some((route, fields)) = found else {
            let message = format!("there is no route {path}");
            return Err(QueryError { code: QueryCode::Unimplemented, message }.into());
        };
        let height = asked_height(request.headers())?;
        let query = query_fields(request.uri().query().unwrap_or_default())
            .ok_or_else(|| invalid("the query string is not encoded properly"))?;
        let input = route.method.input();
        let mut json = Map::new();
        if !route.body.is_empty() {
            let body = to_bytes(request.into_body(), MESSAGE_BYTES_MAX)
                .await
                .map_err(|_| invalid(format!("a body of more than {MESSAGE_BYTES_MAX} bytes")))?;
            let body: Value =
                serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))?;
            match (route.body.as_str(), body) {
                ("*", Value::Object(body)) => json = body,
                ("*", _) => return Err(invalid("the body is not a JSON object")),
                (field, body) => drop(json.insert(field.to_owned(), body)),
            }
        }
        for (name, value) in query.into_iter().chain(fields) {
            put(&input, &mut json, &name, &value).map_err(invalid)?;
        }
        let message = from_json(input, Value::Object(json)).map_err(invalid)?;
        let answer = ask(&self.doors, route.path(), height, message.encode_to_vec().into()).await?;
        let json = encoded_to_json(route.method.output(), &answer.value)
            .map_err(|error| Failure::of(GRPC_PRECONDITION, &error))?;
        let height = HeaderValue::from(answer.height);
        Ok(([(REPLY_HEIGHT_HEADER, height)], Json(json)).into_response())
    }
}

async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    gateway.answer(request).await.unwrap_or_else(IntoResponse::into_response)
}

/// The whole REST interface.
pub fn routes_of(doors: Arc<Doors>, cors: bool) -> Router {
    let routes = routes(doors.pool(), |path| doors.serves(path));
    let gateway = Arc::new(Gateway { doors, routes });
    let mut router = Router::new()
        .fallback(handle)
        .with_state(gateway)
        .layer(GlobalConcurrencyLimitLayer::new(CONCURRENT_MAX))
        // Outside: a slow body and a wait for one's turn count as well.
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            Duration::from_secs(TIMEOUT_S),
        ));
    if cors {
        let open = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
        let open = open.expose_headers([REPLY_HEIGHT_HEADER]);
        router = router.layer(open.max_age(Duration::from_secs(PREFLIGHT_S)));
    }
    router
}

/// Serves REST until `stopped` resolves.
pub async fn serve(
    doors: Arc<Doors>,
    listener: TcpListener,
    cors: bool,
    gate: Arc<Gate>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    limits::serve(listener, routes_of(doors, cors), Spoken::Http1, gate, stopped).await;
    Ok(())
}
