//! One GET, by the kubelet's rules: a status from 200 to 399 is success, redirects are followed within the same
//! host only, and of a body no more than a little is read.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use pinnace_core::ports::{CheckOutcome, CheckedBy};

use super::MOST_BYTES;
use super::connect::{self, ConnectError, Connection, Tls, authority};

const MOST_REDIRECTS: u32 = 10;
/// What servers that know the kubelet look for.
const PROBE_AGENT: &str = "kube-probe/1.37";
const HOOK_AGENT: &str = "kube-lifecycle/1.37";

/// What to ask for.
pub struct Get<'a> {
    pub host: &'a str,
    pub port: u16,
    pub path: &'a str,
    pub https: bool,
    pub headers: &'a [(String, String)],
    pub by: CheckedBy,
}

#[derive(Debug, thiserror::Error)]
enum GetError {
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer")]
    Http(#[from] hyper::Error),
}

/// An answer: its status, where it leads, and the beginning of its body.
struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

pub fn url(https: bool, host: &str, port: u16, path: &str) -> String {
    let scheme = if https { "https" } else { "http" };
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{}{slash}{path}", authority(host, port))
}

/// Asks, and tells what came of it.
pub async fn get(tls: &Tls, get: &Get<'_>) -> CheckOutcome {
    let mut place = Place::of(get);
    let mut redirects = 0;
    loop {
        let answer = match ask(tls, get, &place).await {
            Ok(answer) => answer,
            Err(error) => {
                let text = connect::text(&error);
                return CheckOutcome::Failure(format!("Get {:?}: {text}", place.url()));
            }
        };
        if get.by == CheckedBy::Hook {
            return CheckOutcome::Success;
        }
        let leads_to = answer.location.as_deref().filter(|_| is_redirect(answer.status));
        match leads_to.and_then(|location| place.within_host(location)) {
            Some(_) if redirects >= MOST_REDIRECTS => {
                let why = format!("Get {:?}: stopped after {MOST_REDIRECTS} redirects", place.url());
                return CheckOutcome::Failure(why);
            }
            Some(next) => {
                place = next;
                redirects += 1;
            }
            None => return verdict(&answer),
        }
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

fn verdict(answer: &Answer) -> CheckOutcome {
    match answer.status {
        200..300 => CheckOutcome::Success,
        300..400 => {
            let body = &answer.body;
            CheckOutcome::Warning(format!("Probe terminated redirects, Response body: {body}"))
        }
        status => CheckOutcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
    }
}

/// Where a request goes.
struct Place {
    https: bool,
    host: String,
    port: u16,
    path: String,
}

impl Place {
    fn of(get: &Get<'_>) -> Self {
        Self {
            https: get.https,
            host: get.host.to_owned(),
            port: get.port,
            path: get.path.to_owned(),
        }
    }

    fn url(&self) -> String {
        url(self.https, &self.host, self.port, &self.path)
    }

    /// Where a redirect leads, if that is the same host.
    fn within_host(&self, location: &str) -> Option<Self> {
        let uri: Uri = match location.starts_with('/') || location.contains("://") {
            true => location.parse().ok()?,
            false => {
                let path = self.path.split('?').next().unwrap_or_default();
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                format!("{directory}/{location}").parse().ok()?
            }
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let Some(host) = uri.host() else {
            return Some(Self {
                path,
                host: self.host.clone(),
                ..*self
            });
        };
        let https = uri.scheme_str() == Some("https");
        let same = host.trim_matches(['[', ']']) == self.host;
        same.then(|| Self {
            https,
            host: self.host.clone(),
            port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }),
            path,
        })
    }
}

async fn ask(tls: &Tls, get: &Get<'_>, place: &Place) -> Result<Answer, GetError> {
    let request = request(get, place)?;
    let stream: Box<dyn Connection> = match place.https {
        true => connect::tls(tls, &place.host, place.port).await?,
        false => Box::new(connect::tcp(&place.host, place.port).await?),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        Ok::<_, GetError>(read(response).await)
    };
    // The connection is driven beside the exchange, and closed with it.
    tokio::select! {
        answer = exchange => answer,
        ended = drive(connection) => Err(GetError::Http(ended)),
    }
}

/// Drives a connection; returns only where it breaks.
async fn drive<F: Future<Output = Result<(), hyper::Error>>>(connection: F) -> hyper::Error {
    match connection.await {
        Err(error) => error,
        // What was read of the answer is still to be looked at.
        Ok(()) => std::future::pending().await,
    }
}

/// A path as a URI takes it: what may not stand in one is written as `%XX`, and what is written so stays.
fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                escaped.push_str(&format!("%{byte:02X}"))
            }
            0x21..=0x7e => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn request(get: &Get<'_>, place: &Place) -> Result<Request<Empty<Bytes>>, GetError> {
    let slash = if place.path.starts_with('/') { "" } else { "/" };
    let mut builder = Request::get(format!("{slash}{}", escaped(&place.path)));
    let mut names_host = false;
    if let Some(headers) = builder.headers_mut() {
        let agent = match get.by {
            CheckedBy::Probe => PROBE_AGENT,
            CheckedBy::Hook => HOOK_AGENT,
        };
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
        let mut replaced = Vec::new();
        for (name, value) in get.headers {
            let name = HeaderName::try_from(name.as_str()).map_err(hyper::http::Error::from)?;
            let value = HeaderValue::try_from(value.as_str()).map_err(hyper::http::Error::from)?;
            names_host |= name == HOST;
            // The first of a name takes the place of what is sent anyway, as does a host.
            if replaced.contains(&name) && name != HOST {
                headers.append(name, value);
            } else {
                headers.insert(name.clone(), value);
                replaced.push(name);
            }
        }
    }
    if !names_host {
        builder = builder.header(HOST, authority(&place.host, place.port));
    }
    Ok(builder.body(Empty::new())?)
}

/// A body that is too long, or breaks off, is cut: the status alone decides.
async fn read(response: Response<Incoming>) -> Answer {
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Limited::new(response.into_body(), MOST_BYTES);
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    Answer {
        status,
        location,
        body: String::from_utf8_lossy(&read).into_owned(),
    }
}
