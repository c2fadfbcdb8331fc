//! Where every provider's paths lead.

use super::*;
use crate::llm::operation::Operation;

fn catalogue(own: &[(&str, &str)]) -> Catalogue {
    let own = own.iter().map(|(slug, base_url)| {
        let config = Config {
            base_url: Some((*base_url).to_owned()),
            ..Config::default()
        };
        ((*slug).to_owned(), config)
    });
    Catalogue::build(&own.collect()).unwrap()
}

fn check_with(catalogue: &Catalogue, slug: &str, path: &str, expect: &str) {
    let provider = catalogue.provider(slug).unwrap();
    let place = provider.place(path, Some("acc"));
    let url = place.map_or_else(
        |fault| fault.to_string(),
        |place| format!("{}{}", place.origin, place.path),
    );
    assert_eq!(url, expect, "/{slug}/{path}");
}

fn check(slug: &str, path: &str, expect: &str) {
    check_with(&catalogue(&[]), slug, path, expect);
}

#[test]
fn the_catalogue_holds_the_26_providers() {
    assert_eq!(slugs().unwrap().len(), 26);
}

#[test]
fn a_leading_version_is_neither_doubled_nor_lost() {
    let chat = |slug: &str, base: &str| {
        let url = format!("{base}/chat/completions");
        check(slug, "chat/completions", &url);
        check(slug, "v1/chat/completions", &url);
    };
    chat("openai", "https://api.openai.com/v1");
    chat("openrouter", "https://openrouter.ai/api/v1");
    chat("cerebras", "https://api.cerebras.ai/v1");
    chat("mistral", "https://api.mistral.ai/v1");
    chat("grok", "https://api.x.ai/v1");
    chat("groq", "https://api.groq.com/openai/v1");
    chat("fireworks", "https://api.fireworks.ai/inference/v1");
    chat("baseten", "https://inference.baseten.co/v1");
}

#[test]
fn a_base_path_is_neither_doubled_nor_lost() {
    let to = |slug: &str, path: &str, base: &str| check(slug, path, &format!("{base}/{path}"));
    to("deepseek", "chat/completions", "https://api.deepseek.com");
    to(
        "perplexity-ai",
        "chat/completions",
        "https://api.perplexity.ai",
    );
    to("anthropic", "v1/messages", "https://api.anthropic.com");
    to("anthropic", "messages", "https://api.anthropic.com/v1");
    to("anthropic", "api/hello", "https://api.anthropic.com");
    to("cohere", "v2/chat", "https://api.cohere.com");
    to("cohere", "v1/rerank", "https://api.cohere.com");
    to("groq", "openai/v1/models", "https://api.groq.com");
    to("openrouter", "api/v1/models", "https://openrouter.ai");
    to("replicate", "predictions", "https://api.replicate.com/v1");
    to("replicate", "v1/predictions", "https://api.replicate.com");
    let router = "https://router.huggingface.co";
    to("huggingface", "v1/chat/completions", router);
    to("huggingface", "together/v1/chat/completions", router);
    to("huggingface", "hf-inference/models/a/b", router);
    to(
        "huggingface",
        "models/a/b",
        &format!("{router}/hf-inference"),
    );
    to(
        "huggingface",
        "a/b",
        &format!("{router}/hf-inference/models"),
    );
    check("openai", "", "https://api.openai.com/v1");
    check("openai", "v1", "https://api.openai.com/v1");
}

#[test]
fn google_paths_lead_to_their_region() {
    let ai = "https://generativelanguage.googleapis.com";
    check(
        "google-ai-studio",
        "v1/models/g:generateContent",
        &format!("{ai}/v1/models/g:generateContent"),
    );
    check(
        "google-ai-studio",
        "models/g:generateContent",
        &format!("{ai}/v1beta/models/g:generateContent"),
    );
    let path = "v1/projects/p/locations/us-east5/publishers/google/models/g:generateContent";
    check(
        "google-vertex-ai",
        path,
        &format!("https://us-east5-aiplatform.googleapis.com/{path}"),
    );
    let path = "v1beta1/projects/p/locations/global/publishers/google/models/g:generateContent";
    check(
        "google-vertex-ai",
        path,
        &format!("https://aiplatform.googleapis.com/{path}"),
    );
    let path = "v1beta1/publishers/google/models/g:generateContent";
    check(
        "google-vertex-ai",
        path,
        &format!("https://aiplatform.googleapis.com/{path}"),
    );
}

#[test]
fn azure_and_bedrock_paths_choose_their_host() {
    check(
        "azure-openai",
        "res/gpt-4o/chat/completions",
        "https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions",
    );
    check(
        "azure-openai",
        "res/openai/deployments/d/chat/completions",
        "https://res.openai.azure.com/openai/deployments/d/chat/completions",
    );
    check(
        "azure-openai",
        "res/openai/v1/responses",
        "https://res.openai.azure.com/openai/v1/responses",
    );
    check(
        "azure-openai",
        "ev.il/gpt-4o/chat/completions",
        "https://ev.il.openai.azure.com/openai/deployments/gpt-4o/chat/completions",
    );
    check(
        "azure-openai",
        "ev:1/gpt-4o/chat",
        "`ev:1.openai.azure.com` cannot be part of a host name",
    );
    check(
        "azure-openai",
        "res",
        "the path does not say enough; expected /azure-openai/{resource}/openai/deployments/{model} or {resource}/openai or {resource}/{model}/…",
    );
    check(
        "aws-bedrock",
        "bedrock-runtime/us-east-1/model/a%3A0/converse",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/converse",
    );
    check(
        "aws-bedrock",
        "bedrock-mantle/us-east-1/anthropic/v1/messages",
        "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
    );
    check(
        "baseten",
        "model/abc/x",
        "https://model-abc.api.baseten.co/production/predict/x",
    );
}

#[test]
fn workers_ai_paths_hold_the_account() {
    let base = "https://api.cloudflare.com/client/v4/accounts/acc/ai";
    check(
        "workers-ai",
        "@cf/meta/llama",
        &format!("{base}/run/@cf/meta/llama"),
    );
    check(
        "workers-ai",
        "run/@cf/meta/llama",
        &format!("{base}/run/@cf/meta/llama"),
    );
    check(
        "workers-ai",
        "v1/chat/completions",
        &format!("{base}/v1/chat/completions"),
    );
    let catalogue = catalogue(&[]);
    let place = catalogue
        .provider("workers-ai")
        .unwrap()
        .place("run/@cf/x", None);
    assert!(place.is_err());
}

#[test]
fn an_override_replaces_the_base_and_keeps_the_path() {
    let own = catalogue(&[
        ("openai", "http://127.0.0.1:1/v1"),
        ("mistral", "http://127.0.0.1:1/v1"),
        ("azure-openai", "http://127.0.0.1:1/x"),
        ("aws-bedrock", "http://127.0.0.1:1"),
        ("google-vertex-ai", "http://127.0.0.1:1"),
        ("workers-ai", "http://127.0.0.1:1"),
        ("custom-vllm", "http://10.0.0.5:8000/v1"),
    ]);
    check_with(&own, "openai", "v1/models", "http://127.0.0.1:1/v1/models");
    for path in ["chat/completions", "v1/chat/completions"] {
        let expect = "http://127.0.0.1:1/v1/chat/completions";
        check_with(&own, "mistral", path, expect);
    }
    check_with(
        &own,
        "azure-openai",
        "r/d/embeddings",
        "http://127.0.0.1:1/x/openai/deployments/d/embeddings",
    );
    check_with(
        &own,
        "aws-bedrock",
        "bedrock-runtime/eu-west-1/model/m/invoke",
        "http://127.0.0.1:1/model/m/invoke",
    );
    check_with(
        &own,
        "google-vertex-ai",
        "v1/projects/p/locations/l/x",
        "http://127.0.0.1:1/v1/projects/p/locations/l/x",
    );
    check_with(
        &own,
        "custom-vllm",
        "v1/chat/completions",
        "http://10.0.0.5:8000/v1/chat/completions",
    );
    check_with(
        &own,
        "custom-vllm",
        "chat/completions",
        "http://10.0.0.5:8000/v1/chat/completions",
    );
}

#[test]
fn a_place_says_what_is_spoken_there() {
    let all = catalogue(&[("custom-x", "http://h/")]);
    let spoken = |slug: &str, path: &str| {
        let place = all.provider(slug).unwrap().place(path, Some("a")).unwrap();
        (place.dialect, place.operation, place.model, place.streams)
    };
    let model = |name: &str| Some(name.to_owned());
    assert_eq!(
        spoken("openai", "v1/chat/completions"),
        (Some(Dialect::Openai), Operation::Chat, None, false)
    );
    assert_eq!(
        spoken("openai", "files/f-1/content"),
        (Some(Dialect::Openai), Operation::Files, None, false)
    );
    assert_eq!(
        spoken("openai", "v1/unheard/of"),
        (Some(Dialect::Openai), Operation::Other, None, false)
    );
    assert_eq!(
        spoken(
            "google-vertex-ai",
            "v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict"
        ),
        (
            Some(Dialect::Anthropic),
            Operation::Chat,
            model("c@1"),
            true
        )
    );
    assert_eq!(
        spoken(
            "aws-bedrock",
            "bedrock-runtime/r/model/us.a.c-v1%3A0/converse-stream"
        ),
        (
            Some(Dialect::Bedrock),
            Operation::Chat,
            model("us.a.c-v1:0"),
            true
        )
    );
    assert_eq!(
        spoken("azure-openai", "r/dep/chat/completions"),
        (Some(Dialect::Openai), Operation::Chat, model("dep"), false)
    );
    assert_eq!(
        spoken("workers-ai", "@cf/meta/llama"),
        (
            Some(Dialect::WorkersAi),
            Operation::Inference,
            model("@cf/meta/llama"),
            false
        )
    );
    assert_eq!(
        spoken("custom-x", "api/chat"),
        (None, Operation::Chat, None, false)
    );
    assert_eq!(
        spoken("custom-x", "v1/messages"),
        (None, Operation::Chat, None, false)
    );
    assert_eq!(
        spoken("custom-x", "else"),
        (None, Operation::Other, None, false)
    );
}

fn from_yaml(text: &str) -> Catalogue {
    Catalogue::build(&serde_yaml::from_str(text).unwrap()).unwrap()
}

#[test]
fn a_place_can_be_moved_to_another_endpoint() {
    let all = from_yaml(
        "{custom-x: {endpoints: ['http://a/v1', {base_url: 'http://b'}, 'http://c:1/x/v1']},
          anthropic: {endpoints: ['http://a', 'http://b/v1']},
          azure-openai: {endpoints: ['http://a', 'http://b/y']}}",
    );
    let check = |slug: &str, path: &str, expect: &[&str]| {
        let provider = all.provider(slug).unwrap();
        let place = provider.place(path, None).unwrap();
        let urls = provider.bases.iter().map(|base| {
            let moved = place.at(base);
            format!("{}{}", moved.origin, moved.path)
        });
        assert_eq!(urls.collect::<Vec<_>>(), expect);
        assert_eq!(format!("{}{}", place.origin, place.path), expect[0]);
    };
    let path = "v1/chat/completions";
    check(
        "custom-x",
        path,
        &[
            "http://a/v1/chat/completions",
            "http://b/v1/chat/completions",
            "http://c:1/x/v1/chat/completions",
        ],
    );
    check(
        "anthropic",
        "messages",
        &["http://a/v1/messages", "http://b/v1/messages"],
    );
    check(
        "azure-openai",
        "r/d/embeddings",
        &[
            "http://a/openai/deployments/d/embeddings",
            "http://b/y/openai/deployments/d/embeddings",
        ],
    );
}

#[test]
fn a_provider_with_one_place_is_not_moved() {
    let all = catalogue(&[]);
    let place = all.provider("openai").unwrap().place("models", None);
    let place = place.unwrap();
    let elsewhere = Base::parse("http://elsewhere").unwrap();
    assert_eq!(place.at(&elsewhere).origin, place.origin);
}

#[test]
fn each_provider_takes_its_key_in_its_own_way() {
    let all = from_yaml(
        "{custom-a: {base_url: 'http://a'}, custom-b: {base_url: 'http://a', dialect: openai},
          custom-c: {base_url: 'http://a', dialect: anthropic},
          custom-d: {base_url: 'http://a', dialect: deepgram}}",
    );
    let check = |slug: &str, expect: &str| {
        let key = crate::base::secret::Secret::new("zq".to_owned());
        let (name, value) = all.provider(slug).unwrap().key.write(&key).unwrap();
        assert!(value.is_sensitive());
        let field = format!("{name}: {}", value.to_str().unwrap());
        assert_eq!(field, expect, "{slug}");
    };
    let bearers = "openai google-vertex-ai aws-bedrock workers-ai groq mistral cohere \
        perplexity-ai replicate huggingface grok deepseek cerebras openrouter baseten fireworks \
        adobe-firefly custom-a custom-b";
    for slug in bearers.split_whitespace() {
        check(slug, "authorization: Bearer zq");
    }
    for slug in ["anthropic", "parallel", "cartesia", "custom-c"] {
        check(slug, "x-api-key: zq");
    }
    for slug in ["azure-openai", "ideogram"] {
        check(slug, "api-key: zq");
    }
    for slug in ["deepgram", "custom-d"] {
        check(slug, "authorization: Token zq");
    }
    check("google-ai-studio", "x-goog-api-key: zq");
    check("elevenlabs", "xi-api-key: zq");
    check("fal", "authorization: Key zq");
}
