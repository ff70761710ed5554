//! Where a model's files come from: a folder, a web server, or the Hugging Face hub.
//!
//! Nothing that a source says is believed: the caller compares hashes. Downloads resume where they stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{FILE_BYTES_MAX, FILES_MAX, ModelsError, counts};

/// Hub that is asked when `HF_ENDPOINT` is not set.
const HF_ENDPOINT: &str = "https://huggingface.co";
/// Time to reach a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest silence of a server in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Times that a broken download is taken up again without getting any further.
const ATTEMPTS_MAX: u32 = 4;
/// Wait before the second attempt; it doubles each time.
const BACKOFF: Duration = Duration::from_millis(250);
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// Longest list of files that a hub may send, bytes.
const LISTING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often progress is logged where there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Bytes that are copied and hashed at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Where to fetch from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder that holds the files under their paths.
    Folder(PathBuf),
    /// An HTTP(S) address; the files' paths are added to it.
    Web(String),
    /// A repository of the Hugging Face hub.
    Hub(Hub),
}

/// A repository of the Hugging Face hub, or of a server with the same interface.
#[derive(Clone, PartialEq, Eq)]
pub struct Hub {
    /// Address of the hub.
    pub endpoint: String,
    /// `owner/name`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Token for repositories that need one; sent to the hub only.
    pub token: Option<String>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("repository", &self.repository)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// A repository of the hub that the environment names (`HF_ENDPOINT`, `HF_TOKEN`).
    #[must_use]
    pub fn from_environment(repository: &str, revision: &str) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| HF_ENDPOINT.to_owned()),
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            token: set("HF_TOKEN"),
        }
    }

    fn listing_url(&self) -> Result<Url, ModelsError> {
        let endpoint = self.endpoint.trim_end_matches('/');
        let (repository, revision) = (&self.repository, escape(&self.revision));
        url(&format!("{endpoint}/api/models/{}/revision/{revision}", self.checked(repository)?))
    }

    fn file_url(&self, path: &str) -> Result<Url, ModelsError> {
        let endpoint = self.endpoint.trim_end_matches('/');
        let (repository, revision) = (&self.repository, escape(&self.revision));
        let path = escape_path(path);
        url(&format!("{endpoint}/{}/resolve/{revision}/{path}", self.checked(repository)?))
    }

    fn checked<'a>(&self, repository: &'a str) -> Result<&'a str, ModelsError> {
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if repository.split('/').count() <= 2 && repository.split('/').all(plain) {
            Ok(repository)
        } else {
            Err(ModelsError::Source(format!("{repository:?} is no repository: owner/name")))
        }
    }
}

/// `hf:owner/name`, `hf:owner/name@revision`, an address with http:// or https://, or a folder.
impl std::str::FromStr for Source {
    type Err = ModelsError;

    fn from_str(text: &str) -> Result<Self, ModelsError> {
        if let Some(repository) = text.strip_prefix("hf:") {
            let (repository, revision) = repository.split_once('@').unwrap_or((repository, "main"));
            let hub = Hub::from_environment(repository, revision);
            hub.checked(repository)?;
            return Ok(Self::Hub(hub));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            url(text)?;
            return Ok(Self::Web(text.to_owned()));
        }
        if text.is_empty() {
            return Err(ModelsError::Source(
                "no source: a folder, an address or hf:owner/name".to_owned(),
            ));
        }
        Ok(Self::Folder(PathBuf::from(text)))
    }
}

impl Source {
    /// The files that make up a model there, sorted. A plain web server lists nothing.
    ///
    /// # Errors
    /// [`ModelsError::Source`] when there is no list.
    pub fn list(&self) -> Result<Vec<String>, ModelsError> {
        let mut files = match self {
            Self::Folder(folder) => fs::read_dir(folder)
                .and_then(|entries| {
                    entries
                        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                        .collect::<io::Result<Vec<_>>>()
                })
                .map_err(|error| ModelsError::io(folder, error))?,
            Self::Web(address) => {
                return Err(ModelsError::Source(format!(
                    "{address} lists no files: a manifest is needed to fetch from a web server"
                )));
            }
            Self::Hub(hub) => blocking(hub.list())?,
        };
        files.retain(|file| counts(file));
        files.sort();
        files.truncate(FILES_MAX + 1);
        Ok(files)
    }

    /// Brings a file to `part`, continuing what is there, and gives its sha256 and size.
    /// `size` is what it should have, or `None`.
    ///
    /// # Errors
    /// [`ModelsError::Source`] when it is not there or larger than `size`.
    pub fn fetch(
        &self,
        path: &str,
        part: &Path,
        size: Option<u64>,
    ) -> Result<([u8; 32], u64), ModelsError> {
        match self {
            Self::Folder(folder) => copy(&folder.join(path), part, size),
            Self::Web(address) => {
                let address = format!("{}/{}", address.trim_end_matches('/'), escape_path(path));
                blocking(Download::new(url(&address)?, None, path, part, size)?.run())
            }
            Self::Hub(hub) => {
                let token = hub.token.clone();
                blocking(Download::new(hub.file_url(path)?, token, path, part, size)?.run())
            }
        }
    }
}

impl Hub {
    async fn list(&self) -> Result<Vec<String>, ModelsError> {
        #[derive(Deserialize)]
        struct Listing {
            siblings: Vec<Sibling>,
        }
        #[derive(Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let url = self.listing_url()?;
        let mut request = client()?.get(url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut response = in_time(&url, request.send()).await?;
        refuse_failure(&url, &response)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = in_time(&url, response.chunk()).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LISTING_BYTES_MAX {
                return Err(ModelsError::Source(format!("{url}: the list of files is too long")));
            }
        }
        let listing: Listing = serde_json::from_slice(&bytes)
            .map_err(|error| ModelsError::Source(format!("{url}: {error}")))?;
        Ok(listing.siblings.into_iter().map(|sibling| sibling.rfilename).collect())
    }
}

/// Runs a download on a thread of its own, so that callers may be asynchronous or not.
fn blocking<T: Send>(
    work: impl Future<Output = Result<T, ModelsError>> + Send,
) -> Result<T, ModelsError> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| ModelsError::Source(format!("no runtime: {error}")))?
                .block_on(work)
        });
        worker.join().map_err(|_| ModelsError::Source("the download panicked".to_owned()))?
    })
}

fn client() -> Result<Client, ModelsError> {
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        let secure = attempt.previous().first().is_some_and(|first| first.scheme() == "https");
        if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("too many redirects")
        } else if secure && attempt.url().scheme() != "https" {
            attempt.error("a redirect from https to http")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirects)
        .user_agent(concat!("plasma-gpu-node/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ModelsError::Source(error.to_string()))
}

fn url(text: &str) -> Result<Url, ModelsError> {
    Url::parse(text)
        .map_err(|error| ModelsError::Source(format!("{text:?} is no address: {error}")))
}

fn escape_path(path: &str) -> String {
    path.split('/').map(escape).collect::<Vec<_>>().join("/")
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn in_time<T>(
    url: &Url,
    work: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, ModelsError> {
    match tokio::time::timeout(READ_TIMEOUT, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(ModelsError::Source(format!("{url}: {}", chain(&error)))),
        Err(_) => {
            Err(ModelsError::Source(format!("{url}: silent for {} s", READ_TIMEOUT.as_secs())))
        }
    }
}

/// An error with its causes: reqwest's own text leaves the reason out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn refuse_failure(url: &Url, response: &Response) -> Result<(), ModelsError> {
    let hint = match response.status() {
        status if status.is_success() => return Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ": set HF_TOKEN if the repository needs one"
        }
        StatusCode::NOT_FOUND => ": no such file or revision",
        _ => "",
    };
    Err(ModelsError::Source(format!("{url}: {}{hint}", response.status())))
}

/// What is in a part file so far, hashed.
struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    len: u64,
    limit: u64,
}

impl Part {
    fn open(path: &Path, size: Option<u64>) -> Result<Self, ModelsError> {
        let io = |error| ModelsError::io(path, error);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path).map_err(io)?;
        let limit = size.unwrap_or(FILE_BYTES_MAX);
        let mut part = Self {
            path: path.to_owned(),
            file: file.try_clone().map_err(io)?,
            hash: Sha256::new(),
            len: 0,
            limit,
        };
        if file.metadata().map_err(io)?.len() > limit {
            part.restart()?;
            return Ok(part);
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => return Ok(part),
                n => {
                    part.hash.update(&buffer[..n]);
                    part.len += n as u64;
                }
            }
        }
    }

    fn restart(&mut self) -> Result<(), ModelsError> {
        self.file.set_len(0).map_err(|error| ModelsError::io(&self.path, error))?;
        self.hash = Sha256::new();
        self.len = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ModelsError> {
        self.len += bytes.len() as u64;
        if self.len > self.limit {
            let _ = fs::remove_file(&self.path);
            return Err(ModelsError::Source(format!(
                "{} is longer than the {} bytes that it may have",
                self.path.display(),
                self.limit
            )));
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|error| ModelsError::io(&self.path, error))
    }

    fn finish(self) -> Result<([u8; 32], u64), ModelsError> {
        self.file.sync_all().map_err(|error| ModelsError::io(&self.path, error))?;
        Ok((self.hash.finalize().into(), self.len))
    }
}

fn copy(from: &Path, part: &Path, size: Option<u64>) -> Result<([u8; 32], u64), ModelsError> {
    let mut file = File::open(from).map_err(|error| ModelsError::io(from, error))?;
    let total = file.metadata().map_err(|error| ModelsError::io(from, error))?.len();
    // A copy is fast: what an earlier one left is not worth trusting.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ModelsError::io(part, error));
        }
        _ => {}
    }
    let mut part = Part::open(part, size)?;
    let mut progress = Progress::new(&from.display().to_string(), Some(total), 0);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer).map_err(|error| ModelsError::io(from, error))? {
            0 => break,
            n => part.append(&buffer[..n])?,
        }
        progress.at(part.len);
    }
    part.finish()
}

/// One file on its way over HTTP.
struct Download {
    url: Url,
    token: Option<String>,
    name: String,
    part: Part,
    /// Size from the manifest.
    size: Option<u64>,
    /// Version of the file that the part belongs to, as the server names it.
    etag: Option<HeaderValue>,
}

impl Download {
    fn new(
        url: Url,
        token: Option<String>,
        name: &str,
        part: &Path,
        size: Option<u64>,
    ) -> Result<Self, ModelsError> {
        let mut part = Part::open(part, size)?;
        // Without a known size, what an earlier run left may be of another version of the file.
        if size.is_none() {
            part.restart()?;
        }
        Ok(Self { url, token, name: name.to_owned(), part, size, etag: None })
    }

    async fn run(mut self) -> Result<([u8; 32], u64), ModelsError> {
        let client = client()?;
        let mut failures = 0;
        let mut farthest = self.part.len;
        while self.size.is_none_or(|size| self.part.len < size) {
            match self.attempt(&client).await {
                Ok(()) => break,
                Err((error, Again::Never)) => return Err(error),
                Err((error, Again::Later)) => {
                    failures = if self.part.len > farthest { 1 } else { failures + 1 };
                    farthest = farthest.max(self.part.len);
                    if failures >= ATTEMPTS_MAX {
                        return Err(error);
                    }
                    tracing::warn!(file = self.name, %error, "download interrupted; continuing");
                    tokio::time::sleep(BACKOFF * 2u32.pow(failures - 1)).await;
                }
            }
        }
        self.part.finish()
    }

    async fn attempt(&mut self, client: &Client) -> Result<(), (ModelsError, Again)> {
        let mut headers = HeaderMap::new();
        if self.part.len > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.part.len));
            headers.extend(range.ok().map(|range| (RANGE, range)));
            headers.extend(self.etag.clone().map(|etag| (IF_RANGE, etag)));
        }
        let mut request = client.get(self.url.clone()).headers(headers);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut response = in_time(&self.url, request.send()).await.map_err(later)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if first_byte(&response) == Some(self.part.len) => {}
            // The whole file, or a part that was not asked for.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
                if self.part.len > 0 =>
            {
                self.part.restart().map_err(never)?;
                let text = format!("{}: the server does not continue there", self.url);
                return Err(later(ModelsError::Source(text)));
            }
            StatusCode::OK => self.part.restart().map_err(never)?,
            status => {
                let error = refuse_failure(&self.url, &response).err();
                let text = format!("{}: unexpected answer {status}", self.url);
                let error = error.unwrap_or(ModelsError::Source(text));
                let temporary = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                return Err(if temporary { later(error) } else { never(error) });
            }
        }
        // Weak validators do not vouch for bytes.
        let etag = response.headers().get(ETAG).cloned();
        self.etag = etag.filter(|etag| !etag.as_bytes().starts_with(b"W/"));
        let total = response.content_length().map(|rest| self.part.len.saturating_add(rest));
        let mut progress = Progress::new(&self.name, total.or(self.size), self.part.len);
        while let Some(chunk) = in_time(&self.url, response.chunk()).await.map_err(later)? {
            self.part.append(&chunk).map_err(never)?;
            progress.at(self.part.len);
        }
        match total {
            Some(total) if self.part.len < total => {
                Err(later(ModelsError::Source(format!("{}: the answer was cut off", self.url))))
            }
            _ => Ok(()),
        }
    }
}

/// Whether another attempt may succeed.
enum Again {
    Later,
    Never,
}

fn later(error: ModelsError) -> (ModelsError, Again) {
    (error, Again::Later)
}

fn never(error: ModelsError) -> (ModelsError, Again) {
    (error, Again::Never)
}

/// `Content-Range: bytes FIRST-LAST/TOTAL`
fn first_byte(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

/// A bar on a terminal, else a line now and then.
struct Progress {
    name: String,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    fn new(name: &str, total: Option<u64>, at: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            if total.is_some()
                && let Ok(style) = ProgressStyle::with_template(template)
            {
                bar.set_style(style);
            }
            bar.set_message(name.to_owned());
            bar.set_position(at);
            bar
        });
        Self { name: name.to_owned(), total, bar, told: Instant::now() }
    }

    fn at(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        } else if self.told.elapsed() >= LOG_EVERY {
            self.told = Instant::now();
            tracing::info!(file = self.name, bytes, total = self.total, "fetching");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_text() {
        assert_eq!("/models/x".parse::<Source>().unwrap(), Source::Folder("/models/x".into()));
        assert!(matches!("https://a.example/m".parse::<Source>().unwrap(), Source::Web(_)));
        let Source::Hub(hub) = "hf:owner/name@v1".parse::<Source>().unwrap() else {
            panic!("no hub")
        };
        assert_eq!((hub.repository.as_str(), hub.revision.as_str()), ("owner/name", "v1"));
        for bad in ["", "hf:", "hf:../x", "hf:a/b/c", "hf:a b/c", "hf:/x", "http://"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_escaped_and_tokens_are_not_printed() {
        let hub = Hub {
            endpoint: "https://hub.example/".into(),
            repository: "o/n".into(),
            revision: "refs/pr/1".into(),
            token: Some("secret".into()),
        };
        let url = hub.file_url("sub dir/a#b.safetensors").unwrap();
        assert_eq!(
            url.as_str(),
            "https://hub.example/o/n/resolve/refs%2Fpr%2F1/sub%20dir/a%23b.safetensors"
        );
        assert!(!format!("{hub:?}").contains("secret"));
    }
}
