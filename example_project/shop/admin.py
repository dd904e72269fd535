from django.contrib import admin

from example_project.shop.models import Cart, CartItem, Order, OrderLine, Product, Profile


class CartItemInline(admin.TabularInline):
    model = CartItem
    extra = 0


class OrderLineInline(admin.TabularInline):
    model = OrderLine
    extra = 0


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "sku", "price"]
    search_fields = ["name", "sku"]


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin):
    list_display = ["user", "tier"]
    list_filter = ["tier"]
    list_select_related = ["user"]


@admin.register(Cart)
class CartAdmin(admin.ModelAdmin):
    list_display = ["__str__", "user", "created_at"]
    list_select_related = ["user"]
    inlines = [CartItemInline]


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["__str__", "user", "status", "discount", "total", "placed_at"]
    list_filter = ["status"]
    list_select_related = ["user"]
    inlines = [OrderLineInline]
