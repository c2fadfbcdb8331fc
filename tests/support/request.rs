//! A request as bytes: nothing is added but what framing needs.

/// A request that is being put together.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Framing,
}

#[derive(Clone, Debug)]
enum Framing {
    None,
    Length(Vec<u8>),
    Chunked(Vec<u8>, Vec<usize>),
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: Vec::new(),
            body: Framing::None,
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// A POST of JSON with a content-length.
    pub fn json(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::post(target)
            .field("content-type", "application/json")
            .body(body)
    }

    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The mock's faults for this request.
    pub fn mock(self, faults: &str) -> Self {
        self.field("x-mock", faults)
    }

    /// A body with a content-length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Framing::Length(body.into());
        self
    }

    /// A body in chunks of these sizes.
    pub fn chunked(mut self, body: impl Into<Vec<u8>>, sizes: Vec<usize>) -> Self {
        self.body = Framing::Chunked(body.into(), sizes);
        self
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    /// The head alone, for those who send the body by themselves.
    pub fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("host") {
            text += "host: gateway.test\r\n";
        }
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        match &self.body {
            Framing::Length(body) if !self.has("content-length") => {
                text += &format!("content-length: {}\r\n", body.len());
            }
            Framing::Chunked(..) => text += "transfer-encoding: chunked\r\n",
            Framing::None | Framing::Length(_) => {}
        }
        text += "\r\n";
        text.into_bytes()
    }

    /// Head and body.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        match &self.body {
            Framing::None => {}
            Framing::Length(body) => bytes.extend_from_slice(body),
            Framing::Chunked(body, sizes) => {
                let mut rest = body.as_slice();
                for size in sizes {
                    let (chunk, left) = rest.split_at(*size);
                    bytes.extend(chunk_of(chunk));
                    rest = left;
                }
                assert!(rest.is_empty(), "the chunk sizes do not add up");
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
        }
        bytes
    }

    fn has(&self, name: &str) -> bool {
        let mut names = self.fields.iter().map(|(name, _)| name);
        names.any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// One chunk in its frame.
pub fn chunk_of(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
