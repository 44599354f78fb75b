#!/usr/bin/env bash
# Old orders move to an archive and come back whole.
#
#   examples/order-archive.sh [FOLDER]      everything happens there; without it, in a folder that is removed again
#
# Needs the nextbasket command on the PATH (or NEXTBASKET=…). Nothing is deleted before its copy was read back and
# verified; an order that changes meanwhile stays.
set -euo pipefail

nextbasket=${NEXTBASKET:-nextbasket}
folder=${1:-$(mktemp -d)}
[[ $# -gt 0 ]] || trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"
data=$folder/data
orders=nextbasket-purchases
old="purchasedAt < '2025-01-01'"

echo "== A shop with orders of three years"
{
    echo user_id,product_id,timestamp,quantity,price,product_name,basket_id
    for n in {1..300}; do
        year=$((2023 + n % 3)) month=$(printf %02d $((n % 12 + 1))) day=$(printf %02d $((n % 28 + 1)))
        echo "customer-$((n % 20)),product-$((n % 7)),$year-$month-${day}T10:00:00Z,1,9.90,Product $((n % 7)),order-$n"
    done
} >"$folder/orders.csv"
"$nextbasket" import "$folder/orders.csv" --data "$data"

echo "== A dump of all of them, to compare with in the end"
"$nextbasket" dump "$orders" --to "$folder/before" --data "$data"

echo "== Orders of before 2025 move to the archive"
"$nextbasket" archive "$orders" --where "$old" --to "$folder/archive" --yes --data "$data"
"$nextbasket" count "$orders" --data "$data"
"$nextbasket" verify "$folder/archive" --data "$data"

echo "== They come back, whole"
"$nextbasket" restore "$folder/archive" "$orders" --on-conflict skip --data "$data"
"$nextbasket" verify "$folder/before" "table:$orders" --data "$data"
