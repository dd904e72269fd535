from django import forms

from example_project.shop.models import MOST_OF_ONE_PRODUCT, Order, Product


class AddForm(forms.Form):
    product = forms.ModelChoiceField(Product.objects.all())
    quantity = forms.IntegerField(min_value=1, max_value=MOST_OF_ONE_PRODUCT)


class QuantityForm(forms.Form):
    """How many of an item; 0 takes it out of the cart."""

    quantity = forms.IntegerField(min_value=0, max_value=MOST_OF_ONE_PRODUCT)


class CouponForm(forms.Form):
    code = forms.CharField(max_length=100)


class CheckoutForm(forms.ModelForm):
    """Where the order goes, and the total the customer saw when agreeing to it."""

    agreed_total = forms.DecimalField(widget=forms.HiddenInput)

    class Meta:
        model = Order
        fields = ["name", "street", "postcode", "city"]
        widgets = {
            "name": forms.TextInput({"autocomplete": "name"}),
            "street": forms.TextInput({"autocomplete": "street-address"}),
            "postcode": forms.TextInput({"autocomplete": "postal-code"}),
            "city": forms.TextInput({"autocomplete": "address-level2"}),
        }
