use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::event::EventData;
use tendermint_rpc::query::EventType;
use tendermint_rpc::{SubscriptionClient as _, WebSocketClient, WebSocketClientUrl};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Client, ClientError};

/// Longest that opening a WebSocket may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// With an open WebSocket: how long nothing may come before the node is asked.
const QUIET: Duration = Duration::from_secs(3);
/// Times that asking may know more than the WebSocket before that is opened anew.
const BEHIND_MAX: u32 = 3;
/// Without a WebSocket: how often the node is asked.
const POLL: Duration = Duration::from_secs(1);
/// With no new block: how often who follows them looks around anyway.
#[cfg(feature = "engine")]
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Polls before the WebSocket is tried again.
const POLLS: u32 = 10;

pub(super) fn subscribe(client: Client) -> BoxStream<'static, u64> {
    let (heights, receiver) = watch::channel(0);
    tokio::spawn(async move {
        let watched = heights.clone();
        tokio::select! {
            () = watched.closed() => {}
            () = follow(client, heights) => {}
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        let height = *receiver.borrow_and_update();
        Some((height, receiver))
    })
    .boxed()
}

/// Waits for the next of [`Client::subscribe_blocks`], or for [`PAUSE_MAX`].
#[cfg(feature = "engine")]
pub(crate) async fn block_or_pause(blocks: &mut BoxStream<'static, u64>) {
    let _ = timeout(PAUSE_MAX, blocks.next()).await;
}

/// As [`block_or_pause`]; `false` at once when `stop` says so.
#[cfg(feature = "engine")]
pub(crate) async fn next_turn(
    blocks: &mut BoxStream<'static, u64>,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    if *stop.borrow() {
        return false;
    }
    tokio::select! {
        _ = stop.changed() => false,
        () = block_or_pause(blocks) => true,
    }
}

/// Never ends; dropped when nobody listens.
async fn follow(client: Client, heights: watch::Sender<u64>) {
    loop {
        if let Err(reason) = listen(&client, &heights).await {
            tracing::debug!(url = client.url(), %reason, "no block events: asking instead");
        }
        for _ in 0..POLLS {
            let _ = ask(&client, &heights).await;
            sleep(POLL).await;
        }
    }
}

/// Tells `height` if it is new.
fn tell(heights: &watch::Sender<u64>, height: u64) -> bool {
    heights.send_if_modified(|last| {
        let new = height > *last;
        *last = height.max(*last);
        new
    })
}

/// Asks the node; says whether it knew more.
async fn ask(client: &Client, heights: &watch::Sender<u64>) -> Result<bool, ClientError> {
    Ok(tell(heights, client.height().await?))
}

/// Follows the node's events until the WebSocket breaks or falls silent.
async fn listen(client: &Client, heights: &watch::Sender<u64>) -> Result<(), String> {
    let url: WebSocketClientUrl = websocket_url(client.url())
        .parse()
        .map_err(|error: tendermint_rpc::Error| super::reason(&error))?;
    let opening = WebSocketClient::builder(url).compat_mode(CompatMode::V0_38).build();
    let (socket, driver) = timeout(OPEN_TIMEOUT, opening)
        .await
        .map_err(|_| "opening timed out".to_owned())?
        .map_err(|error| super::reason(&error))?;
    let driver = tokio::spawn(driver.run());
    let result = events(client, &socket, heights).await;
    let _ = socket.close();
    driver.abort();
    result
}

async fn events(
    client: &Client,
    socket: &WebSocketClient,
    heights: &watch::Sender<u64>,
) -> Result<(), String> {
    let mut blocks = timeout(OPEN_TIMEOUT, socket.subscribe(EventType::NewBlock.into()))
        .await
        .map_err(|_| "subscribing timed out".to_owned())?
        .map_err(|error| super::reason(&error))?;
    // What came before the subscription.
    ask(client, heights).await.map_err(|error| error.to_string())?;
    let mut behind = 0;
    loop {
        match timeout(QUIET, blocks.next()).await {
            Ok(Some(Ok(event))) => {
                if let EventData::NewBlock { block: Some(block), .. } = event.data {
                    tell(heights, block.header.height.value());
                    behind = 0;
                }
            }
            Ok(Some(Err(error))) => return Err(super::reason(&error)),
            Ok(None) => return Err("the node closed the connection".to_owned()),
            Err(_) => {
                behind += u32::from(ask(client, heights).await.map_err(|error| error.to_string())?);
                if behind >= BEHIND_MAX {
                    return Err("the events have stopped".to_owned());
                }
            }
        }
    }
}

/// Where the WebSocket of an RPC address is.
fn websocket_url(rpc_url: &str) -> String {
    let url = rpc_url.trim_end_matches('/');
    let url = match url.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}"),
        Some((_, rest)) => format!("ws://{rest}"),
        None => format!("ws://{url}"),
    };
    format!("{url}/websocket")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_websocket_is_beside_the_rpc() {
        assert_eq!(websocket_url("http://127.0.0.1:26657"), "ws://127.0.0.1:26657/websocket");
        assert_eq!(
            websocket_url("https://rpc.example.org/plasma/"),
            "wss://rpc.example.org/plasma/websocket"
        );
    }

    #[test]
    fn heights_only_rise() {
        let (heights, receiver) = watch::channel(0);
        assert!(tell(&heights, 5));
        assert!(!tell(&heights, 5));
        assert!(!tell(&heights, 4));
        assert_eq!(*receiver.borrow(), 5);
    }
}
