//! Amazon resource names.

/// The account of a table's ARN, `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`; `None` if it names none.
pub(crate) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_if_the_arn_names_it() {
        assert_eq!(
            account_of("arn:aws:dynamodb:eu-central-1:123456789012:table/orders"),
            Some("123456789012")
        );
        for arn in ["", "arn:aws:dynamodb:local::table/orders", "orders"] {
            assert_eq!(account_of(arn), None, "{arn:?}");
        }
    }
}
