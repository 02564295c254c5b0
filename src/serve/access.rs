//! Who is answered: this machine alone, or whoever has the token; and no page of another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::failure::Failure;
use crate::{Error, Result};

/// Bytes of a token that was drawn at random.
const TOKEN_BYTES: usize = 16;

/// What a page may load, unless it says so itself: what this server sends, and the pictures that a person chose.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'self'";

/// Who is answered.
///
/// A server on a loopback address answers requests that name it as `localhost` or by that address, so that no name of another site can
/// lead to it. On another address, each request needs a token. Requests that a page of another site makes are refused in both cases.
#[derive(Clone, Debug)]
pub struct Access {
    /// None on a loopback address where nobody asked for one.
    token: Option<Arc<str>>,
    loopback: bool,
    /// The name of the cookie that keeps the token in a browser. Cookies do not know ports.
    cookie: Arc<str>,
}

impl Access {
    /// The access to a server on this address. Beyond loopback a token is drawn if none is given.
    ///
    /// # Errors
    /// [`Error::Usage`] for a token that no header can hold, or when the system has no random numbers.
    pub fn new(address: IpAddr, token: Option<String>) -> Result<Self> {
        let loopback = address.is_loopback();
        let token = match token {
            Some(token) => Some(checked(token)?),
            None if loopback => None,
            None => Some(drawn()?),
        };
        Ok(Self { token: token.map(Arc::from), loopback, cookie: "gpunn_token".into() })
    }

    /// The access to a server on this port.
    pub(super) fn on_port(self, port: u16) -> Self {
        Self { cookie: format!("gpunn_token_{port}").into(), ..self }
    }

    /// The token, if one is needed.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The path of the first page, with the token.
    pub fn entry(&self) -> String {
        self.token().map_or_else(|| "/".into(), |token| format!("/?token={token}"))
    }

    /// Answers a request, or says why not.
    pub(super) async fn check(State(access): State<Self>, request: Request, next: Next) -> Response {
        let refused = |why: &str| Failure::new(StatusCode::FORBIDDEN, why).into_response();
        let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers());
        let mut response = if access.loopback && !names_loopback(headers, &uri) {
            refused("This server answers this machine only: open it by the address 127.0.0.1 or as localhost.")
        } else if is_cross_site(&method, headers) {
            refused("A page of another site made this request.")
        } else if let Some(entered) = access.entered(&method, &uri) {
            entered
        } else if !access.is_allowed(headers) {
            let why = "This server needs its token: open the address that it printed, or send the token as 'Authorization: Bearer TOKEN'.";
            Failure::new(StatusCode::UNAUTHORIZED, why).into_response()
        } else {
            next.run(request).await
        };
        protect(response.headers_mut());
        response
    }

    /// The first page with the right token in its address: the browser keeps it, and its address loses it.
    fn entered(&self, method: &Method, uri: &Uri) -> Option<Response> {
        let token = self.token()?;
        let given = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))?;
        (method == Method::GET && uri.path() == "/" && same(given, token)).then(|| {
            let cookie = format!("{}={token}; HttpOnly; SameSite=Strict; Path=/", self.cookie);
            (StatusCode::SEE_OTHER, [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)]).into_response()
        })
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(token) = self.token() else { return true };
        let bearer = text(headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        let mut cookies = text(headers, header::COOKIE).into_iter().flat_map(|text| text.split(';'));
        let cookie = cookies.find_map(|pair| pair.trim().strip_prefix(&*self.cookie)?.strip_prefix('='));
        bearer.or(cookie).is_some_and(|given| same(given, token))
    }
}

/// Takes as long for a wrong token as for the right one.
fn same(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

fn checked(token: String) -> Result<String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match !token.is_empty() && token.bytes().all(fine) {
        true => Ok(token),
        false => Err(Error::usage("A token has letters, digits, and the signs - . _ ~ only.")),
    }
}

fn drawn() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::usage(format!("No token could be drawn, because the system has no random numbers ({error}); give one."))
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a request names the server as one of this machine. A site can have its own name lead to 127.0.0.1, and its page would then count
/// as this server's.
fn names_loopback(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(host) = uri.authority().map(|authority| authority.as_str()).or_else(|| text(headers, header::HOST)) else {
        return false;
    };
    let Ok(host) = host.parse::<axum::http::uri::Authority>() else { return false };
    let host = host.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a page of another site made a request. Following a link to the first page is no such thing.
fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &'static str, words: &[&str]| {
        text(headers, HeaderName::from_static(name)).is_some_and(|text| words.contains(&text))
    };
    let host = text(headers, header::HOST).unwrap_or_default();
    let of_other = text(headers, header::ORIGIN)
        .is_some_and(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) != Some(host));
    let link = method == Method::GET && says("sec-fetch-mode", &["navigate"]) && says("sec-fetch-dest", &["document"]);
    of_other || (says("sec-fetch-site", &["cross-site", "same-site"]) && !link)
}

/// The headers of every answer.
fn protect(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(self), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_names_of_this_machine_lead_to_a_server_on_loopback() {
        let named = |host: &'static str| names_loopback(&headers(&[("host", host)]), &Uri::from_static("/"));
        for host in ["localhost", "localhost:7878", "LOCALHOST:1", "127.0.0.1:7878", "127.9.9.9", "[::1]:7878", "[::1]"]
        {
            assert!(named(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:7878", "127.0.0.1.evil.example", "192.168.1.2", "", "a b"]
        {
            assert!(!named(host), "{host}");
        }
        assert!(!names_loopback(&HeaderMap::new(), &Uri::from_static("/")));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let host = ("host", "127.0.0.1:7878");
        let cross = |method: &Method, pairs: &[(&'static str, &'static str)]| {
            is_cross_site(method, &headers(&[&[host], pairs].concat()))
        };
        let (get, post) = (&Method::GET, &Method::POST);
        assert!(!cross(post, &[]), "a program sends no such headers");
        assert!(!cross(post, &[("origin", "http://127.0.0.1:7878"), ("sec-fetch-site", "same-origin")]));
        assert!(cross(post, &[("origin", "http://evil.example")]));
        assert!(cross(post, &[("origin", "null")]));
        assert!(cross(post, &[("origin", "http://127.0.0.1:9999")]), "another server of this machine");
        assert!(cross(get, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]), "an image");
        let link = ("sec-fetch-mode", "navigate");
        assert!(!cross(get, &[("sec-fetch-site", "cross-site"), link, ("sec-fetch-dest", "document")]));
        assert!(cross(get, &[("sec-fetch-site", "cross-site"), link, ("sec-fetch-dest", "iframe")]));
        assert!(cross(post, &[("sec-fetch-site", "cross-site"), link, ("sec-fetch-dest", "document")]));
    }

    #[test]
    fn beyond_loopback_a_token_is_needed() {
        let local = Access::new([127, 0, 0, 1].into(), None).expect("access");
        assert!(local.token().is_none() && local.is_allowed(&HeaderMap::new()));
        let drawn = [0, 1].map(|_| Access::new([0, 0, 0, 0].into(), None).expect("access"));
        assert_ne!(drawn[0].token(), drawn[1].token());
        assert_eq!(drawn[0].token().map(str::len), Some(2 * TOKEN_BYTES));
        let given = Access::new([0, 0, 0, 0].into(), Some("s3cret".into())).expect("access").on_port(7);
        assert!(!given.is_allowed(&HeaderMap::new()));
        assert!(given.is_allowed(&headers(&[("authorization", "Bearer s3cret")])));
        assert!(!given.is_allowed(&headers(&[("authorization", "Bearer s3cre")])));
        assert!(given.is_allowed(&headers(&[("cookie", "a=b; gpunn_token_7=s3cret")])));
        assert!(!given.is_allowed(&headers(&[("cookie", "gpunn_token_7=other")])));
        assert!(!given.is_allowed(&headers(&[("cookie", "gpunn_token_8=s3cret")])), "of another server");
        let enters = |uri: &'static str| given.entered(&Method::GET, &Uri::from_static(uri)).is_some();
        assert!(enters("/?token=s3cret") && !enters("/?token=no") && !enters("/predict?token=s3cret") && !enters("/"));
        assert!(Access::new([0, 0, 0, 0].into(), Some("a;b".into())).is_err());
    }
}
