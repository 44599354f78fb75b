//! The catalogue: `GET`, `PUT` and `DELETE /products/{productId}`, `GET /products`.
//!
//! Each call for one product is also answered under `/products?productId=…`: a query carries every id, a path does not.

use std::collections::BTreeMap;

use nextbasket_domain::object;
use nextbasket_domain::{Category, Clock, Money, Product, ProductId};
use nextbasket_http::{
    ApiError, ApiEvent, ApiResponse, Query, Request, Service, cursor, json, list, no_content, service,
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
            "GET /products" => get_or_list(state, &request).await,
            "GET /products/{productId}" => get(state, &product_id(&request)?).await,
            "PUT /products/{productId}" | "PUT /products" => put(state, &request).await,
            "DELETE /products/{productId}" | "DELETE /products" => delete(state, &request).await,
            _ => Err(service::unknown_route(&request)),
        })
        .await
}

/// The product that the request is about, and nothing else in its query.
fn product_id(request: &Request<'_>) -> Result<ProductId, ApiError> {
    let (id, _) = request.path_or_query("productId", &[], ProductId::parse)?;
    Ok(id)
}

async fn get(state: &State, id: &ProductId) -> Result<ApiResponse, ApiError> {
    match state.products.get(id).await? {
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
    let id = product_id(request)?;
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
    let id = product_id(request)?;
    state.products.remove(&id).await?;
    Ok(no_content(204))
}

async fn get_or_list(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let query = request.query(&["productId", "category", "limit", "cursor"])?;
    if query.text("productId").is_some() {
        return get(state, &product_id(request)?).await;
    }
    list_products(state, &query).await
}

async fn list_products(state: &State, query: &Query) -> Result<ApiResponse, ApiError> {
    let category = query.get("category", Category::parse)?;
    let limit = query.limit()?;
    let name = format!("products/{}", category.as_ref().map_or("", Category::as_str));
    let after = query.cursor(&name, |position: String| CataloguePosition::parse(&position))?;
    let CataloguePage { products, damaged, end } =
        state.products.page(category.as_ref(), limit, after.as_ref()).await?;
    log_skipped(&damaged);
    let to_cursor = |position: &CataloguePosition| cursor::encode(&name, position.as_str());
    let end = end.as_ref().map(to_cursor).transpose()?;
    list(&products, end, |last| to_cursor(&CataloguePosition::of(last, category.as_ref())))
}
