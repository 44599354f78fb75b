//! The catalogue: `GET`, `PUT` and `DELETE /products/{productId}`, `GET /products`.

use std::collections::BTreeMap;

use nextbasket_domain::object;
use nextbasket_domain::{Category, Clock, Money, Product, ProductId};
use nextbasket_http::{
    ApiError, ApiEvent, ApiResponse, ListPage, Request, Service, cursor, json, no_content, service,
};
use nextbasket_tables::Tables;
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::products::{CataloguePage, CataloguePosition, ProductsTable};
use serde::Deserialize;

/// What the function keeps between invocations.
#[derive(Debug, Clone)]
pub struct State {
    service: Service,
    products: ProductsTable,
    clock: Clock,
}

impl State {
    pub fn new(service: Service, tables: &Tables, clock: Clock) -> Result<Self, lambda_runtime::Error> {
        Ok(Self { service, products: tables.products()?, clock })
    }

    /// Opens the connection before the first request, while the sandbox has a full CPU. A failure is left to the
    /// first request to report.
    pub async fn warm_up(&self) {
        if let Ok(nothing) = ProductId::parse("-") {
            let _ = self.products.get(&nothing).await;
        }
    }
}

pub async fn handle(state: &State, event: ApiEvent) -> Result<ApiResponse, lambda_runtime::Error> {
    state
        .service
        .answer(event, async |request| match request.route() {
            "GET /products" => list(state, &request).await,
            "GET /products/{productId}" => get(state, &request).await,
            "PUT /products/{productId}" => put(state, &request).await,
            "DELETE /products/{productId}" => delete(state, &request).await,
            _ => Err(service::unknown_route(&request)),
        })
        .await
}

async fn get(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let id: ProductId = request.path("productId")?;
    request.query(&[])?;
    match state.products.get(&id).await? {
        Some(product) => json(200, &product),
        None => {
            let detail = format!("product {:?} not found", id.as_str());
            Err(ApiError::not_found("product_not_found", detail).at("productId"))
        }
    }
}

/// What a client may say of a product. The id is the path's; the time of the last change is ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Description {
    name: String,
    #[serde(default)]
    categories: Vec<Category>,
    #[serde(default, deserialize_with = "object::optional")]
    price: Option<Money>,
    #[serde(default = "yes")]
    available: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

async fn put(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    request.caller.administer()?;
    let id: ProductId = request.path("productId")?;
    request.query(&[])?;
    let body: Description = request.body()?;
    Product::check_name(&body.name).map_err(|error| ApiError::invalid("name", error))?;
    Product::check_categories(&body.categories).map_err(|error| ApiError::invalid("categories", error))?;
    Product::check_attributes(&body.attributes).map_err(|error| ApiError::invalid("attributes", error))?;
    let product = Product {
        product_id: id,
        name: body.name,
        categories: body.categories,
        price: body.price,
        available: body.available,
        attributes: body.attributes,
        updated_at: state.clock.now(),
    };
    let status = if state.products.put(&product).await? { 201 } else { 200 };
    json(status, &product)
}

async fn delete(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    request.caller.administer()?;
    let id: ProductId = request.path("productId")?;
    request.query(&[])?;
    state.products.remove(&id).await?;
    Ok(no_content(204))
}

async fn list(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let query = request.query(&["category", "limit", "cursor"])?;
    let category = query.get("category", Category::parse)?;
    let limit = query.limit()?;
    let list = format!("products/{}", category.as_ref().map_or("", Category::as_str));
    let after = query.cursor(&list, |position: String| CataloguePosition::parse(&position))?;
    let CataloguePage { products, damaged, end } =
        state.products.page(category.as_ref(), limit, after.as_ref()).await?;
    log_skipped(&damaged);
    let cursor = end.map(|end| cursor::encode(&list, end.as_str())).transpose()?;
    json(200, &ListPage { items: products, cursor })
}
