//! A deployed stack, as CloudFormation describes it.

use std::collections::BTreeMap;

use super::api::{Api, CLOUDFORMATION, CallError};
use super::xml::Element;
use crate::Failure;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) account: Option<String>,
    outputs: BTreeMap<String, String>,
    parameters: BTreeMap<String, String>,
}

impl Stack {
    /// # Errors
    /// [`Failure`] if there is no such stack, or CloudFormation does not answer or refuses to.
    pub(crate) async fn describe(api: &Api, name: &str) -> Result<Self, Failure> {
        let parameters = [("StackName".to_owned(), name.to_owned())];
        match api.query(CLOUDFORMATION, "DescribeStacks", &parameters).await {
            Ok(answer) => Self::of(name, &answer).ok_or_else(|| not_found(name)),
            Err(CallError::Refused { code, message, .. })
                if code == "ValidationError" && message.contains("not exist") =>
            {
                Err(not_found(name))
            }
            Err(error) => Err(Failure::Other(format!(
                "stack \"{name}\": {error}. The console needs cloudformation:DescribeStacks and \
                 cloudformation:DescribeStackResource"
            ))),
        }
    }

    fn of(name: &str, answer: &Element) -> Option<Self> {
        let stack = answer.find("Stacks")?.children.first()?;
        let pairs = |list: &str, key: &str, value: &str| {
            let pair =
                |member: &Element| Some((member.text_of(key)?.to_owned(), member.text_of(value)?.to_owned()));
            stack.members(list).iter().filter_map(pair).collect()
        };
        // arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/ID
        let account = stack.text_of("StackId").and_then(|arn| arn.split(':').nth(4));
        Some(Self {
            name: name.to_owned(),
            account: account.filter(|account| !account.is_empty()).map(str::to_owned),
            outputs: pairs("Outputs", "OutputKey", "OutputValue"),
            parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
        })
    }

    /// # Errors
    /// [`Failure`] if the stack has no such output: it is another product's.
    pub(crate) fn output(&self, key: &str) -> Result<&str, Failure> {
        let value = self.outputs.get(key).map(String::as_str);
        value.ok_or_else(|| {
            let name = &self.name;
            Failure::Usage(format!(
                "stack \"{name}\" has no output {key}: it is not a stack of this product, or of an earlier version. Name \
                 another one with --stack, or deploy this version"
            ))
        })
    }

    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.get(key).map(String::as_str)
    }

    /// The physical id of a resource.
    ///
    /// # Errors
    /// [`CallError`] if CloudFormation does not answer or refuses to.
    pub(crate) async fn resource(&self, api: &Api, logical_id: &str) -> Result<Option<String>, CallError> {
        let parameters = [
            ("StackName".to_owned(), self.name.clone()),
            ("LogicalResourceId".to_owned(), logical_id.to_owned()),
        ];
        let answer = api.query(CLOUDFORMATION, "DescribeStackResource", &parameters).await?;
        Ok(answer.find("PhysicalResourceId").map(|id| id.text.trim().to_owned()))
    }
}

fn not_found(name: &str) -> Failure {
    Failure::Usage(format!(
        "stack \"{name}\" not found: name the deployed stack with --stack, and its region with --region"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_its_outputs_its_parameters_and_its_account() {
        let answer = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>\
            <StackId>arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/1</StackId>\
            <Outputs><member><OutputKey>JobsBucketName</OutputKey><OutputValue>shop-jobs-1</OutputValue></member></Outputs>\
            <Parameters><member><ParameterKey>DumpSchedule</ParameterKey><ParameterValue></ParameterValue></member></Parameters>\
            </member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let stack = Stack::of("shop", &Element::parse(answer).unwrap()).unwrap();
        assert_eq!(stack.account.as_deref(), Some("123456789012"));
        assert_eq!(stack.output("JobsBucketName").unwrap(), "shop-jobs-1");
        assert_eq!(stack.parameter("DumpSchedule"), Some(""));
        assert!(stack.output("ApiUrl").unwrap_err().to_string().contains("has no output ApiUrl"));
        assert_eq!(Stack::of("shop", &Element::parse("<A><Stacks/></A>").unwrap()), None);
    }
}
