//! Who calls, and what they may do.

use std::str::FromStr;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use nextbasket_domain::UserId;

use crate::ApiError;

/// The scope (claim `scope`, or the authorizer's scopes) with which a token may act for every user and change the
/// catalogue.
pub const ADMIN_SCOPE: &str = "nextbasket/admin";

/// How callers prove who they are. There is no mode without proof: on one machine the HTTP front end names a local
/// caller, as API Gateway would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// SigV4: API Gateway has checked the signature and the policy; a caller is the shop's own back end.
    Iam,
    /// A bearer token: its `sub` is a user, unless it carries [`ADMIN_SCOPE`].
    Jwt,
}

impl FromStr for AuthMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "iam" => Ok(Self::Iam),
            "jwt" => Ok(Self::Jwt),
            other => Err(format!("environment variable AUTH_MODE is {other:?}: expected iam or jwt")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// May act for every user and change the catalogue.
    Admin,
    /// May act for the user of this name.
    User(String),
}

impl Caller {
    /// Reads the caller that API Gateway put into the event.
    ///
    /// # Errors
    /// 401 if there is none of the mode's kind.
    pub fn of(event: &ApiGatewayV2httpRequest, mode: AuthMode) -> Result<Self, ApiError> {
        let authorizer = event.request_context.authorizer.as_ref().ok_or_else(ApiError::unauthorized)?;
        match mode {
            AuthMode::Iam => {
                let iam = authorizer.iam.as_ref().ok_or_else(ApiError::unauthorized)?;
                iam.user_arn.as_ref().ok_or_else(ApiError::unauthorized)?;
                Ok(Self::Admin)
            }
            AuthMode::Jwt => {
                let jwt = authorizer.jwt.as_ref().ok_or_else(ApiError::unauthorized)?;
                let scoped = jwt.scopes.iter().flatten().any(|scope| scope == ADMIN_SCOPE);
                let claimed = jwt
                    .claims
                    .get("scope")
                    .is_some_and(|scopes| scopes.split_ascii_whitespace().any(|scope| scope == ADMIN_SCOPE));
                if scoped || claimed {
                    return Ok(Self::Admin);
                }
                jwt.claims.get("sub").cloned().map(Self::User).ok_or_else(ApiError::unauthorized)
            }
        }
    }

    /// Passes if the caller may read and write what belongs to this user.
    ///
    /// # Errors
    /// 403 otherwise.
    pub fn act_for(&self, user: &UserId) -> Result<(), ApiError> {
        match self {
            Self::Admin => Ok(()),
            Self::User(sub) if sub == user.as_str() => Ok(()),
            Self::User(_) => Err(ApiError::forbidden("the token's subject is not this user")),
        }
    }

    /// Passes if the caller may change the catalogue.
    ///
    /// # Errors
    /// 403 otherwise.
    pub fn administer(&self) -> Result<(), ApiError> {
        match self {
            Self::Admin => Ok(()),
            Self::User(_) => Err(ApiError::forbidden(format!("the scope {ADMIN_SCOPE} is required"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(authorizer: &serde_json::Value) -> ApiGatewayV2httpRequest {
        serde_json::from_value(json!({
            "requestContext": { "authorizer": authorizer, "http": { "method": "GET" } }
        }))
        .unwrap()
    }

    #[test]
    fn a_signed_caller_may_all_and_an_unsigned_one_nothing() {
        let signed = event(&json!({ "iam": { "userArn": "arn:aws:iam::1:user/shop" } }));
        assert_eq!(Caller::of(&signed, AuthMode::Iam).unwrap(), Caller::Admin);
        assert_eq!(Caller::of(&signed, AuthMode::Jwt).unwrap_err().status(), 401);
        for authorizer in
            [json!(null), json!({}), json!({ "iam": {} }), json!({ "jwt": { "claims": { "sub": "ada" } } })]
        {
            assert_eq!(
                Caller::of(&event(&authorizer), AuthMode::Iam).unwrap_err().status(),
                401,
                "{authorizer}"
            );
        }
    }

    #[test]
    fn a_token_acts_for_its_subject_alone_unless_it_has_the_scope() {
        let ada = event(
            &json!({ "jwt": { "claims": { "sub": "ada", "scope": "openid nextbasket/administrator" } } }),
        );
        let ada = Caller::of(&ada, AuthMode::Jwt).unwrap();
        assert!(ada.act_for(&UserId::parse("ada").unwrap()).is_ok());
        assert_eq!(ada.act_for(&UserId::parse("grace").unwrap()).unwrap_err().status(), 403);
        assert_eq!(ada.administer().unwrap_err().status(), 403);
        for jwt in [
            json!({ "claims": { "sub": "s", "scope": "openid nextbasket/admin" } }),
            json!({ "claims": {}, "scopes": ["nextbasket/admin"] }),
        ] {
            assert_eq!(Caller::of(&event(&json!({ "jwt": jwt })), AuthMode::Jwt).unwrap(), Caller::Admin);
        }
        let nobody = event(&json!({ "jwt": { "claims": {} } }));
        assert_eq!(Caller::of(&nobody, AuthMode::Jwt).unwrap_err().status(), 401);
    }
}
