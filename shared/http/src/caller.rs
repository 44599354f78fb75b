//! Who calls, and what they may do.

use std::str::FromStr;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use nextbasket_domain::UserId;

use crate::ApiError;

/// The scope with which a token may act for every user and change the catalogue.
pub const ADMIN_SCOPE: &str = "nextbasket/admin";

/// The claims that hold a token's scopes: `scope` (RFC 8693, Cognito, Auth0, Keycloak) and `scp` (Okta, Entra ID).
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

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
                // The authorizer lists scopes only if the route names some.
                let scoped = jwt.scopes.iter().flatten().any(|scope| scope == ADMIN_SCOPE);
                let claims = SCOPE_CLAIMS.iter().filter_map(|name| jwt.claims.get(*name));
                if scoped || claims.flat_map(|claim| scopes_of(claim)).any(|scope| scope == ADMIN_SCOPE) {
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

/// The scopes of a claim. API Gateway gives every claim as a text: a text as it is, which holds scopes between blanks,
/// and an array as `[a b]`. Other front ends write an array as JSON.
fn scopes_of(claim: &str) -> Vec<String> {
    let claim = claim.trim_ascii();
    let array = claim.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if array.is_some()
        && let Ok(scopes) = serde_json::from_str(claim)
    {
        return scopes;
    }
    array.unwrap_or(claim).split_ascii_whitespace().map(str::to_owned).collect()
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
        let nobody = event(&json!({ "jwt": { "claims": {}, "scopes": null } }));
        assert_eq!(Caller::of(&nobody, AuthMode::Jwt).unwrap_err().status(), 401);
    }
    #[test]
    fn a_scope_counts_in_each_form_that_a_claim_has_and_only_as_a_whole() {
        for claim in ["scope", "scp"] {
            for (text, admin) in [
                ("nextbasket/admin", true),
                ("openid nextbasket/admin email", true),
                (" nextbasket/admin ", true),
                ("[nextbasket/admin]", true),
                ("[openid nextbasket/admin]", true),
                ("[nextbasket/admin openid]", true),
                (r#"["openid","nextbasket/admin"]"#, true),
                (r#"["nextbasket/admin"]"#, true),
                ("", false),
                ("[]", false),
                ("[", false),
                ("nextbasket/admins", false),
                ("xnextbasket/admin", false),
                ("nextbasket/admin/read", false),
                ("[nextbasket/admin", false),
                ("nextbasket/admin]", false),
                ("[[nextbasket/admin]]", false),
                ("openid,nextbasket/admin", false),
                ("NEXTBASKET/ADMIN", false),
                ("nextbasket /admin", false),
                (r#""nextbasket/admin""#, false),
                (r#"{"scope":"nextbasket/admin"}"#, false),
                (r#"["openid nextbasket/admin"]"#, false),
                (r#"[["nextbasket/admin"]]"#, false),
                ("nextbasket/admin\u{a0}x", false),
            ] {
                let token = event(&json!({ "jwt": { "claims": { "sub": "ada", claim: text } } }));
                let caller = Caller::of(&token, AuthMode::Jwt).unwrap();
                assert_eq!(caller == Caller::Admin, admin, "{claim}: {text}");
            }
        }
        for (authorizer, admin) in [
            (json!({ "claims": { "sub": "ada" }, "scopes": ["openid", "nextbasket/admin"] }), true),
            (json!({ "claims": { "sub": "ada" }, "scopes": ["openid nextbasket/admin"] }), false),
            (json!({ "claims": { "sub": "ada", "scp": "[a b]", "scope": "nextbasket/admin" } }), true),
            // No other claim grants it, whoever may write it.
            (json!({ "claims": { "sub": "nextbasket/admin", "groups": "[nextbasket/admin]" } }), false),
            (
                json!({ "claims": { "sub": "ada", "scopes": "nextbasket/admin", "custom:scope": "nextbasket/admin" } }),
                false,
            ),
        ] {
            let caller = Caller::of(&event(&json!({ "jwt": authorizer })), AuthMode::Jwt).unwrap();
            assert_eq!(caller == Caller::Admin, admin, "{authorizer}");
        }
    }
}
