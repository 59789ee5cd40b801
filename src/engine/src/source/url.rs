//! A list of manifests served over HTTP or HTTPS, asked again at an interval with its ETag.
//!
//! Like the kubelet's `staticPodURL`: an answer replaces the whole list; no answer, an error or an empty body
//! changes nothing. Body, redirects and waits are bounded.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pinnace_api::read::{ReadLimits, read_documents};
use pinnace_core::ports::chain;
use tokio::sync::mpsc;

use super::{Delivery, Listing, Placed, SourceId};

/// This source's id.
pub const URL: SourceId = SourceId("url");

const MAX_REDIRECTS: usize = 5;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of the URL source.
#[derive(Debug, Clone)]
pub struct UrlConfig {
    /// `http://` or `https://`.
    pub url: Uri,
    /// Sent with every request (`staticPodURLHeader`).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Time between two requests (`httpCheckFrequency`).
    pub interval: Duration,
}

/// Why the list could not be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the request cannot be made")]
    Request(#[source] hyper::http::Error),
    #[error("no answer")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("no complete answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Late,
    #[error("the answer's body broke off or is larger than {0} bytes")]
    Body(usize, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the server answered with an empty body")]
    Empty,
    #[error("the server redirects without an end, or to nowhere")]
    Redirect,
}

/// A new list, or none since the last.
enum Fetched {
    Unchanged,
    List(Listing),
}

struct Source {
    config: UrlConfig,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    etag: Option<HeaderValue>,
    limits: ReadLimits,
}

/// Runs until the receiver of deliveries is gone. An error means that the host's certificates cannot be read.
pub async fn run(config: UrlConfig, deliveries: mpsc::Sender<Delivery>) -> std::io::Result<()> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls_ring())?
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let mut source = Source {
        config,
        client,
        etag: None,
        limits: ReadLimits::default(),
    };
    let mut unavailable = None;
    loop {
        let delivery = match source.fetch().await {
            Ok(Fetched::Unchanged) => None,
            Ok(Fetched::List(listing)) => {
                unavailable = None;
                Some(Delivery::Listed(URL, listing))
            }
            Err(error) => {
                let message = format!("manifests of {}: {}", source.config.url, chain(&error));
                let news = unavailable.as_ref() != Some(&message);
                unavailable = Some(message.clone());
                news.then_some(Delivery::Unavailable(URL, message))
            }
        };
        if let Some(delivery) = delivery
            && deliveries.send(delivery).await.is_err()
        {
            return Ok(());
        }
        // Cancelled only at the agent's end.
        tokio::select! {
            () = tokio::time::sleep(source.config.interval) => {}
            () = deliveries.closed() => return Ok(()),
        }
    }
}

fn rustls_ring() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

impl Source {
    async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        tokio::time::timeout(ANSWER_TIMEOUT, self.ask())
            .await
            .map_err(|_| FetchError::Late)?
    }

    async fn ask(&mut self) -> Result<Fetched, FetchError> {
        let mut url = self.config.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self
                .client
                .request(self.request(&url)?)
                .await
                .map_err(FetchError::Connect)?;
            let status = answer.status();
            if status == StatusCode::NOT_MODIFIED && self.etag.is_some() {
                return Ok(Fetched::Unchanged);
            }
            if status.is_redirection() {
                url = redirected(&url, answer.headers().get(LOCATION)).ok_or(FetchError::Redirect)?;
                continue;
            }
            if status != StatusCode::OK {
                return Err(FetchError::Status(status));
            }
            let etag = answer.headers().get(ETAG).cloned();
            let limit = self.limits.file_bytes;
            let body = Limited::new(answer.into_body(), limit).collect().await;
            let text = body.map_err(|source| FetchError::Body(limit, source))?.to_bytes();
            if text.is_empty() {
                return Err(FetchError::Empty);
            }
            self.etag = etag;
            return Ok(Fetched::List(self.read(&text)));
        }
        Err(FetchError::Redirect)
    }

    fn request(&self, url: &Uri) -> Result<Request<Empty<Bytes>>, FetchError> {
        let mut request =
            Request::get(url.clone()).header("accept", "application/json, application/yaml, */*");
        // What was configured for one server is not told to another.
        if url.authority() == self.config.url.authority() {
            for (name, value) in &self.config.headers {
                request = request.header(name, value);
            }
        }
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request.body(Empty::new()).map_err(FetchError::Request)
    }

    fn read(&self, text: &[u8]) -> Listing {
        let file = self.config.url.to_string();
        let reading = read_documents(text, &file, &self.limits);
        Listing {
            objects: reading
                .objects
                .into_iter()
                .map(|located| Placed::of(located, &file))
                .collect(),
            problems: reading.problems,
        }
    }
}

/// Where a redirect leads: an absolute URL, or a path on the same server.
fn redirected(from: &Uri, location: Option<&HeaderValue>) -> Option<Uri> {
    let location = location?.to_str().ok()?;
    let target: Uri = location.parse().ok()?;
    if target.scheme().is_some() {
        let downgrade = from.scheme_str() == Some("https") && target.scheme_str() != Some("https");
        return (!downgrade).then_some(target);
    }
    let path = target.path_and_query()?.clone();
    Uri::builder()
        .scheme(from.scheme_str()?)
        .authority(from.authority()?.clone())
        .path_and_query(path)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const POD: &str = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:1\"}]}}";

    /// Answers one request after the other with these texts; hands on what was asked.
    async fn serve(answers: Vec<String>) -> (Uri, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/list", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let (asked, requests) = mpsc::channel(16);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                request.truncate(length);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                asked.send(String::from_utf8(request).unwrap()).await.unwrap();
            }
        });
        (url, requests)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn start(url: Uri) -> mpsc::Receiver<Delivery> {
        let (sender, receiver) = mpsc::channel(8);
        let headers = vec![(
            HeaderName::from_static("x-token"),
            HeaderValue::from_static("secret"),
        )];
        tokio::spawn(run(
            UrlConfig {
                url,
                headers,
                interval: Duration::from_millis(10),
            },
            sender,
        ));
        receiver
    }

    #[tokio::test]
    async fn a_list_is_asked_for_with_its_etag_and_an_error_changes_nothing() {
        let (url, mut requests) = serve(vec![
            answer("200 OK", "etag: \"one\"\r\n", POD),
            answer("304 Not Modified", "", ""),
            answer("500 Internal Server Error", "", "broken"),
            answer("200 OK", "", ""),
        ])
        .await;
        let mut deliveries = start(url);
        let Some(Delivery::Listed(_, listing)) = deliveries.recv().await else {
            panic!("no list")
        };
        assert_eq!(listing.objects.len(), 1);
        assert!(requests.recv().await.unwrap().contains("x-token: secret"));
        assert!(requests.recv().await.unwrap().contains("if-none-match: \"one\""));
        for expected in ["500", "empty body"] {
            let Some(Delivery::Unavailable(_, why)) = deliveries.recv().await else {
                panic!("{expected}")
            };
            assert!(why.contains(expected), "{why}");
        }
    }

    #[tokio::test]
    async fn a_list_past_the_limit_is_refused() {
        let body = " ".repeat(ReadLimits::default().file_bytes + 1);
        let (url, _requests) = serve(vec![answer("200 OK", "", &body)]).await;
        let mut deliveries = start(url);
        let Some(Delivery::Unavailable(_, why)) = deliveries.recv().await else {
            panic!("taken")
        };
        assert!(why.contains("larger than"), "{why}");
    }

    #[test]
    fn a_redirect_leads_on_and_never_from_https_to_http() {
        let from: Uri = "https://a/list".parse().unwrap();
        let to = |text: &'static str| redirected(&from, Some(&HeaderValue::from_static(text)));
        assert_eq!(to("/other?x=1").unwrap().to_string(), "https://a/other?x=1");
        assert_eq!(to("https://b/").unwrap().to_string(), "https://b/");
        assert_eq!(to("http://b/"), None);
    }
}
