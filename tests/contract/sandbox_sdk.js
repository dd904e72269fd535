// Drives every operation that the official JavaScript SDK shares with the sandbox.
// Arguments: base URL, key. Prints one JSON object: what each operation answered, as parsed.
const TalonOne = require("talon_one");

const [url, key] = process.argv.slice(2);
const client = TalonOne.ApiClient.instance;
client.basePath = url;
client.authentications.api_key_v1.apiKey = key;
client.authentications.api_key_v1.apiKeyPrefix = "ApiKey-v1";
const api = new TalonOne.IntegrationApi();

const item = { name: "Mug", sku: "mug-1", quantity: 2, price: 20 };
const holders = { integrationIDs: ["js-1"] };

async function main() {
  const session = TalonOne.NewCustomerSessionV2.constructFromObject({
    profileId: "js-1",
    couponCodes: ["WELCOME10"],
    cartItems: [item],
  });
  const request = { customerSession: session, responseContent: ["customerSession", "coupons"] };
  const said = {};
  said.updateCustomerSessionV2 = await api.updateCustomerSessionV2("js-session", request, {});
  said.updateCustomerSession = await api.updateCustomerSession(
    "js-old",
    { profileId: "js-1", coupon: "WELCOME10", total: 40, cartItems: [item] },
    {},
  );
  said.updateCustomerProfileV2 = await api.updateCustomerProfileV2(
    "js-1",
    { attributes: { tier: "gold" } },
    { runRuleEngine: false },
  );
  said.updateCustomerProfilesV2 = await api.updateCustomerProfilesV2(
    { customerProfiles: [{ integrationId: "js-2", attributes: { tier: "tin" } }] },
    { silent: "no" },
  );
  said.updateCustomerProfile = await api.updateCustomerProfile(
    "js-1",
    { attributes: { tier: "iron" } },
    {},
  );
  said.trackEvent = await api.trackEvent(
    { type: "newsletter", sessionId: "js-old", profileId: "js-1", attributes: { source: "js" } },
    {},
  );
  said.createReferral = await api.createReferral({
    campaignId: 2,
    advocateProfileIntegrationId: "js-1",
  });
  said.createCouponReservation = await api.createCouponReservation("WALLET10", holders);
  said.getReservedCustomers = await api.getReservedCustomers("WALLET10");
  said.getCustomerInventory = await api.getCustomerInventory("js-1", {
    profile: true,
    coupons: true,
    referrals: true,
  });
  said.deleteCouponReservation = await api.deleteCouponReservation("WALLET10", holders);
  said.deleteCustomerData = await api.deleteCustomerData("js-1");
  try {
    await api.updateCustomerSessionV2("js-session", { customerSession: { state: "lost" } }, {});
  } catch (error) {
    said.refused = [error.status, error.response.body.errors[0].title];
  }
  process.stdout.write(JSON.stringify(said));
}

main().catch((error) => {
  process.stderr.write(`${error.stack || error}\n`);
  process.exit(1);
});
