//! What a request gets that cannot be answered.

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Error;

/// A status, and the reason in a sentence. As JSON: `{"error": "..."}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub StatusCode, pub String);

impl Failure {
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self(status, sentence.into())
    }

    /// An image that cannot be decoded.
    pub fn of_image(error: &Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }

    /// What the server itself could not do.
    pub fn of_server(error: &Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// The network's thread ended.
    pub fn gone() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The network stopped by a fault; start the server again.")
    }

    /// Too much is asked for at once.
    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many images are waiting; send this one again in a second.")
    }

    /// No image came, or not all of it.
    pub fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "The image did not arrive in time.")
    }

    /// There is nothing at this address.
    pub async fn nothing_here() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    /// This address has no such method.
    pub async fn other_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This address has another method.")
    }
}

impl From<BytesRejection> for Failure {
    fn from(refused: BytesRejection) -> Self {
        of_body(refused.status(), refused.body_text())
    }
}

impl From<MultipartError> for Failure {
    fn from(refused: MultipartError) -> Self {
        of_body(refused.status(), refused.body_text())
    }
}

impl From<QueryRejection> for Failure {
    fn from(refused: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("The words after ? cannot be read: {}.", refused.body_text()))
    }
}

fn of_body(status: StatusCode, reason: String) -> Failure {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::new(status, "The images are larger than this server takes; its flag --max-upload sets how much.")
        }
        _ => Failure(status, format!("The body of the request cannot be read: {}.", reason.trim_end_matches('.'))),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(status, sentence) = self;
        let mut response = (status, Json(serde_json::json!({ "error": sentence }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
