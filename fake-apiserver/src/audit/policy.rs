//! The audit policy, `audit.k8s.io/v1` Policy: the first rule that matches a request says how much of it is logged.

use apimachinery::value::{List, Value};
use apimachinery::yaml;

use super::record::Request;

/// The stages of a request.
const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

/// How much of a request is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    None,
    /// Who asked for what and how it ended, with annotations.
    Metadata,
    /// The object that was sent as well, and the patches of webhooks.
    Request,
    /// The answer's object as well.
    RequestResponse,
}

impl Level {
    /// The level's name in policies and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::None => "None",
            Level::Metadata => "Metadata",
            Level::Request => "Request",
            Level::RequestResponse => "RequestResponse",
        }
    }

    fn parse(text: &str) -> Option<Level> {
        [Level::None, Level::Metadata, Level::Request, Level::RequestResponse]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is neither YAML nor JSON.
    #[error("audit policy: {0}")]
    Syntax(#[from] yaml::Error),
    /// It is something else than a Policy.
    #[error("audit policy: apiVersion audit.k8s.io/v1 and kind Policy are expected, {0:?} was found")]
    Kind(String),
    /// It has no rules: nothing would be logged.
    #[error("audit policy: rules: at least one rule is required")]
    NoRules,
    /// A field has a value that makes no sense.
    #[error("audit policy: {field}: {value} is not one of {expected}")]
    Field {
        /// Path of the field, such as `rules[2].level`.
        field: String,
        /// What is there.
        value: String,
        /// What may be there.
        expected: String,
    },
}

/// Which requests are logged, and how much of them. The default of an apiserver without a policy is to log nothing;
/// [`Policy::everything`] is what a test usually wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Rule {
    scope: Scope,
    users: Vec<String>,
    groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<Resources>,
    namespaces: Vec<String>,
    urls: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Resources {
    group: String,
    resources: Vec<String>,
    names: Vec<String>,
}

/// What is logged of one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scope {
    pub(super) level: Level,
    omit: Vec<String>,
    pub(super) omit_managed_fields: bool,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope { level: Level::None, omit: Vec::new(), omit_managed_fields: false }
    }
}

impl Scope {
    pub(super) fn omits(&self, stage: &str) -> bool {
        self.omit.iter().any(|omitted| omitted == stage)
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Policy {
    /// Everything at the level RequestResponse, one event for each request (the stage RequestReceived is left out).
    pub fn everything() -> Policy {
        Policy::at(Level::RequestResponse)
    }

    /// Everything at one level, without the stage RequestReceived.
    pub fn at(level: Level) -> Policy {
        let scope = Scope { level, omit: vec!["RequestReceived".to_owned()], omit_managed_fields: false };
        Policy { rules: vec![Rule { scope, ..Rule::default() }] }
    }

    /// Reads a policy, YAML or JSON, as `--audit-policy-file` has it.
    ///
    /// # Errors
    /// When it is no Policy of `audit.k8s.io`, has no rules, or a level or stage that does not exist.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let policy = yaml::parse(text)?;
        let api_version = policy["apiVersion"].as_str().unwrap_or_default();
        let kind = policy["kind"].as_str().unwrap_or_default();
        if !matches!(api_version, "audit.k8s.io/v1" | "audit.k8s.io/v1beta1" | "audit.k8s.io/v1alpha1")
            || kind != "Policy"
        {
            return Err(PolicyError::Kind(format!("{api_version} {kind}")));
        }
        let omit = stages(&policy["omitStages"], "omitStages")?;
        let rules = policy["rules"].as_array().map(List::as_slice).unwrap_or_default();
        if rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        let managed = policy["omitManagedFields"].as_bool().unwrap_or(false);
        let rules = rules.iter().enumerate().map(|(index, rule)| Rule::parse(rule, index, &omit, managed));
        Ok(Policy { rules: rules.collect::<Result<_, _>>()? })
    }

    /// What is logged of a request: what the first rule says that matches it, else nothing.
    pub(super) fn scope(&self, request: &Request<'_>) -> Scope {
        let rule = self.rules.iter().find(|rule| rule.matches(request));
        rule.map(|rule| rule.scope.clone()).unwrap_or_default()
    }
}

fn stages(value: &Value, field: &str) -> Result<Vec<String>, PolicyError> {
    let stages = texts(value);
    match stages.iter().position(|stage| !STAGES.contains(&stage.as_str())) {
        None => Ok(stages),
        Some(index) => Err(PolicyError::Field {
            field: format!("{field}[{index}]"),
            value: format!("{:?}", stages[index]),
            expected: STAGES.join(", "),
        }),
    }
}

impl Rule {
    fn parse(rule: &Value, index: usize, omit: &[String], managed: bool) -> Result<Rule, PolicyError> {
        let field = format!("rules[{index}]");
        let text = rule["level"].as_str().unwrap_or_default();
        let level = Level::parse(text).ok_or_else(|| PolicyError::Field {
            field: format!("{field}.level"),
            value: format!("{text:?}"),
            expected: "None, Metadata, Request, RequestResponse".to_owned(),
        })?;
        let mut own = stages(&rule["omitStages"], &format!("{field}.omitStages"))?;
        own.extend_from_slice(omit);
        let resources = rule["resources"].as_array().into_iter().flatten().map(|of| Resources {
            group: of["group"].as_str().unwrap_or_default().to_owned(),
            resources: texts(&of["resources"]),
            names: texts(&of["resourceNames"]),
        });
        Ok(Rule {
            scope: Scope {
                level,
                omit: own,
                omit_managed_fields: rule["omitManagedFields"].as_bool().unwrap_or(managed),
            },
            users: texts(&rule["users"]),
            groups: texts(&rule["userGroups"]),
            verbs: texts(&rule["verbs"]),
            resources: resources.collect(),
            namespaces: texts(&rule["namespaces"]),
            urls: texts(&rule["nonResourceURLs"]),
        })
    }

    fn matches(&self, request: &Request<'_>) -> bool {
        let any = |list: &[String], text: &str| list.is_empty() || list.iter().any(|one| one == text);
        let in_group = self.groups.is_empty() || request.user.groups.iter().any(|group| self.groups.contains(group));
        if !any(&self.users, &request.user.username) || !in_group || !any(&self.verbs, request.info.verb) {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return request.info.is_resource
                && any(&self.namespaces, &request.info.namespace)
                && (self.resources.is_empty() || self.resources.iter().any(|resources| resources.matches(request)));
        }
        if self.urls.is_empty() {
            return true;
        }
        !request.info.is_resource
            && self.urls.iter().any(|url| match url.strip_suffix('*') {
                Some(prefix) => request.path.starts_with(prefix),
                None => url == request.path,
            })
    }
}

impl Resources {
    fn matches(&self, request: &Request<'_>) -> bool {
        let info = request.info;
        if self.group != info.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        if !(self.names.is_empty() || self.names.contains(&info.name)) {
            return false;
        }
        self.resources.iter().any(|pattern| match pattern.split_once('/') {
            _ if pattern == "*" => true,
            Some((resource, "*")) if resource == info.resource => true,
            Some((resource, sub)) => {
                !sub.is_empty() && sub == info.subresource && (resource == "*" || resource == info.resource)
            }
            None => info.subresource.is_empty() && *pattern == info.resource,
        })
    }
}
